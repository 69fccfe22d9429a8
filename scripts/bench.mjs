// npm run bench -- NAME [--quick]: all the set-up, then one bench (test/bench). Its last line is the result as JSON.
import { join } from 'node:path';
import { giveUp, root, run } from './lib/run.mjs';
import { setup } from './lib/setup.mjs';

const isOneOf = (...names) => names.some((name) => process.argv.includes(name));
const purpose = isOneOf('backup', 'restore')
  ? 'bench beside a peer'
  : isOneOf('planner', 'engine')
    ? 'bench of the books'
    : 'bench';
const missing = await setup(purpose);
if (missing.length > 0) giveUp(`A bench needs ${missing.map(({ program }) => program).join(', ')}; see above.`);
process.exitCode = await run(process.execPath, [join(root, 'dist/test/bench/main.js'), ...process.argv.slice(2)]);
