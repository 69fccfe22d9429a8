// npm run quickstart: all the set-up from a bare clone, then the story (test/story/quickstart.ts) on a lab host.
import { join } from 'node:path';
import { root, run, say } from './lib/run.mjs';
import { setup } from './lib/setup.mjs';

const args = process.argv.slice(2);
const missing = args.includes('--help') ? [] : await setup('quickstart');
if (missing.length > 0) {
  say('Without them the story runs on the fake host: every line that matters says so.');
  args.push('--fake');
}
process.exitCode = await run(process.execPath, [join(root, 'dist/test/story/quickstart.js'), ...args]);
