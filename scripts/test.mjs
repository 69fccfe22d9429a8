// npm test: all the set-up, then every suite, the ones with real servers included. A suite that cannot run is a failure.
import { mkdirSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { giveUp, root, run, say } from './lib/run.mjs';
import { setup } from './lib/setup.mjs';
import { bats, jest, lint } from './lib/suite.mjs';

const USAGE = `npm test -- [--full] [--only SUITE[,SUITE]] [--jobs N]
  suites: unit, persistence, contract, e2e, faults, agent, lab, shellcheck; or one file of a suite: agent/jobs
  --full  every test in every combination, what is tried at random ten times as often, mutation testing, and a rule broken for each
          family of faults (docs/testing.md)
  --jobs  how many suites at once (two more than there are processors)`;

const { values: options } = parseArgs({
  options: {
    help: { type: 'boolean' },
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    // Suites wait a third of their time: for a lease to run out, for a NAS that hangs.
    jobs: { type: 'string', default: `${availableParallelism() + 2}` },
  },
});
if (options.help) {
  say(USAGE);
  process.exit(0);
}
const { full } = options;

const filesOf = (folder, suffix) =>
  readdirSync(join(root, folder))
    .filter((file) => file.endsWith(suffix))
    .map((file) => join(folder, file));

/** One task a file, so that no file waits for another: each brings its own lab, users and databases. */
const tasksOf = (suite, folder, suffix, work) =>
  filesOf(folder, suffix).map((file) => {
    const name = `${suite}/${basename(file, suffix)}`;
    return { suite, name, work: () => work(name, [file]) };
  });

const time = (seconds) => ({ seconds: full ? seconds * 6 : seconds, full });
const project = (name, seconds) => ({ suite: name, name, work: () => jest(name, name, [], time(seconds)) });

const shellScripts = () => ['agent/nasbackup.sh', 'test/lab/lab.sh', ...filesOf('test/stand-ins', '.sh')];

const tasks = [
  ...tasksOf('e2e', 'test/e2e', '.spec.ts', (name, files) => jest(name, 'e2e', files, time(2400))),
  ...tasksOf('agent', 'agent/test', '.bats', (name, files) => bats(name, files, time(1500))),
  project('contract', 1200),
  project('faults', 1500),
  ...tasksOf('lab', 'test/lab', '.bats', (name, files) => bats(name, files, time(1200))),
  project('persistence', 600),
  project('unit', 600),
  {
    suite: 'shellcheck',
    name: 'shellcheck',
    work: () => lint('shellcheck', 'shellcheck', ['-x', '-P', 'SCRIPTDIR'], shellScripts(), time(120)),
  },
];

if (full) {
  const program = (name, file, seconds) => ({
    suite: name,
    name,
    work: () => lint(name, process.execPath, [], [file], { seconds }),
  });
  tasks.push(program('mutate', 'scripts/mutate.mjs', 4 * 3600), program('broken', 'scripts/break-faults.mjs', 2 * 3600));
}

// The long ones first: what is short fills the gaps at the end.
const LONG = [
  'mutate',
  'faults',
  'broken',
  'e2e/story',
  'e2e/stock-script',
  'contract',
  'persistence',
  'unit',
  'agent/restore',
  'e2e/restores-real',
  'e2e/runs-once',
  'agent/backup-ends',
  'agent/backup-live',
  'agent/pull',
  'agent/guest',
  'lab/lab',
  'agent/jobs-abort',
];
const rank = ({ name }) => (LONG.includes(name) ? LONG.indexOf(name) : LONG.length);
tasks.sort((a, b) => rank(a) - rank(b));

const only = options.only?.split(',');
const chosen = only ? tasks.filter(({ suite, name }) => only.includes(suite) || only.includes(name)) : tasks;
if (chosen.length === 0) giveUp(`--only ${options.only} names no suite\n${USAGE}`);

const missing = await setup('test');
if (missing.length > 0) {
  giveUp(`These suites need ${missing.map(({ program }) => program).join(', ')}; see above.\n0 passed, ${missing.length} failed`);
}
mkdirSync(join(root, 'reports'), { recursive: true });

const rows = [];
const queue = [...chosen];
const began = Date.now();
const secondsSince = (start) => ((Date.now() - start) / 1000).toFixed(1);
async function lane() {
  for (let task = queue.shift(); task; task = queue.shift()) {
    const start = Date.now();
    say(`${task.name} | begins`);
    const result = await task.work();
    const row = { name: task.name, ...result, seconds: secondsSince(start) };
    rows.push(row);
    say(`${row.name} | ends: ${row.passed} passed, ${row.failed} failed in ${row.seconds} s${row.why ? ` (${row.why})` : ''}`);
  }
}
await Promise.all(Array.from({ length: Math.max(1, Number(options.jobs)) }, lane));
// What a suite that was killed has left on the machine.
if (chosen.some(({ suite }) => ['agent', 'lab', 'e2e', 'faults', 'contract'].includes(suite)))
  await run('test/lab/lab.sh', ['reap']);

// Their lines stand somewhere among those of the others. What failed first is the reason more often than what failed last.
const firstFailure = (said) => {
  const at = said.findIndex((line) => / ● .* › | \| not ok /.test(line));
  return Math.max(0, at < 0 ? said.length - 120 : at);
};
for (const { name, said } of rows.filter(({ failed }) => failed > 0)) {
  const from = firstFailure(said);
  say(`\n${name} failed:\n${said.slice(from, from + 120).join('\n')}`);
}

say(`\n${'suite'.padEnd(32)} passed  failed  seconds`);
for (const { name, passed, failed, seconds, why } of rows.sort((a, b) => a.name.localeCompare(b.name))) {
  say(
    `${name.padEnd(32)} ${String(passed).padStart(6)} ${String(failed).padStart(7)} ${seconds.padStart(8)}${why ? `  ${why}` : ''}`,
  );
}
const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
say(`${full ? 'full run' : 'run'} of ${rows.length} suites in ${secondsSince(began)} s`);
say(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
