// npm run check: what can be judged without a server: format, lint, types, dependency rules, dead code, unit tests.
import { join } from 'node:path';
import { root, run, say } from './lib/run.mjs';
import { setup } from './lib/setup.mjs';

const bin = (name) => join(root, 'node_modules/.bin', name);
const steps = [
  ['format', bin('prettier'), ['--check', '--log-level=warn', '.']],
  ['lint', bin('eslint'), ['.', '--max-warnings=0']],
  ['types', bin('tsc'), ['--noEmit', '-p', 'tsconfig.json']],
  ['dependency rules', bin('depcruise'), ['--config', '.dependency-cruiser.cjs', 'src', 'migrations']],
  ['dead code', bin('knip'), []],
  ['host script', 'bash', ['agent/build.sh', '--check']],
  ['OpenAPI', process.execPath, ['scripts/check-openapi.mjs']],
  ['compose and Dockerfile', process.execPath, ['scripts/lint-containers.mjs']],
  ['unit', bin('jest'), ['--selectProjects', 'unit', '--silent']],
];

await setup('check');
const failed = [];
for (const [name, program, args] of steps) {
  const start = Date.now();
  const code = await run(program, args);
  if (code !== 0) failed.push(name);
  say(`${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
}
say(failed.length === 0 ? 'check: all good' : `check: ${failed.join(', ')} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
