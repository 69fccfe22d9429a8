// npm run check: what can be judged without a server: format, lint, types, dependency rules, dead code, unit tests.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root, run, say } from './lib/run.mjs';
import { setup } from './lib/setup.mjs';

const bin = (name) => join(root, 'node_modules/.bin', name);
const steps = [
  ['lint', bin('eslint'), ['.', '--max-warnings=0']],
  ['format', bin('prettier'), ['--check', '--log-level=warn', '.']],
  ['types', bin('tsc'), ['--noEmit', '-p', 'tsconfig.json']],
  ['dependency rules', bin('depcruise'), ['--config', '.dependency-cruiser.cjs', 'src', 'migrations']],
  ['dead code', bin('knip'), []],
  ['host script', 'bash', ['agent/build.sh', '--check']],
  ['OpenAPI', process.execPath, ['scripts/check-openapi.mjs']],
  ['compose and Dockerfile', process.execPath, ['scripts/lint-containers.mjs']],
];
const unit = ['unit', bin('jest'), ['--selectProjects', 'unit', '--silent']];

// npm test has the unit tests as well: where both are run, once is enough.
const { values: options } = parseArgs({ options: { 'no-unit': { type: 'boolean', default: false } } });

await setup('check');
const failed = [];
async function judge([name, program, args]) {
  const start = Date.now();
  const said = [];
  const code = await run(program, args, { hear: (chunk) => said.push(chunk) });
  if (code !== 0) failed.push(name);
  process.stdout.write(Buffer.concat(said));
  say(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
}
// Each of these keeps one processor busy; the unit tests keep all of them.
const queue = [...steps];
const lane = async () => {
  for (let step = queue.shift(); step; step = queue.shift()) await judge(step);
};
await Promise.all([lane(), lane()]);
if (!options['no-unit']) await judge(unit);
say(failed.length === 0 ? 'check: all good' : `check: ${failed.join(', ')} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
