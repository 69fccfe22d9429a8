// npm run setup: what quickstart and test do first, alone.
import { giveUp, say } from './lib/run.mjs';
import { setup } from './lib/setup.mjs';

const missing = await setup('test');
if (missing.length > 0) giveUp(`Still missing: ${missing.map(({ program }) => program).join(', ')}`);
say('Everything is set up. Next: npm run quickstart, npm test');
