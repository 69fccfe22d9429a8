// One test process of npm test: followed line by line, counted, and ended when its time is up.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { env, root, say } from './run.mjs';

const groups = new Set();
const killGroup = (pid, signal) => {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has ended by itself
  }
};
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const pid of groups) killGroup(pid, 'SIGKILL');
    process.exit(130);
  });
}

/**
 * Runs a program in a process group of its own, passes its lines on under its name and answers them. A daemon that a test left behind may
 * keep the pipes open for ever: the end of the program itself is what counts.
 */
function follow(name, program, args, { seconds, more = {}, onLine = () => true }) {
  const said = [];
  const child = spawn(program, args, { cwd: root, env: { ...env, ...more }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  if (child.pid) groups.add(child.pid);
  const streams = [child.stdout, child.stderr].map((stream) => {
    const lines = createInterface({ input: stream });
    lines.on('line', (line) => {
      if (!onLine(line) || line.trim() === '') return;
      said.push(`${name} | ${line}`);
      say(said.at(-1));
    });
    return new Promise((done) => lines.on('close', done));
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(child.pid, 'SIGKILL');
  }, seconds * 1000);
  return new Promise((done) => {
    const end = async (code) => {
      clearTimeout(timer);
      await Promise.race([Promise.all(streams), new Promise((drained) => setTimeout(drained, 1000))]);
      for (const stream of [child.stdout, child.stderr]) stream?.destroy();
      if (child.pid) killGroup(child.pid, 'SIGKILL');
      groups.delete(child.pid);
      done({ code, said, why: late ? `no end within ${seconds} s` : code === 0 ? '' : `exit ${code}` });
    };
    child.on('error', (error) => {
      say(`${name} | ${program}: ${error.message}`);
      void end(127);
    });
    child.on('exit', (code, signal) => void end(code ?? `by ${signal}`));
  });
}

/** Counts come from jest's own report, not from its exit code alone. A test that did not run has seen nothing: it failed. */
export async function jest(name, project, files, { seconds, full }) {
  const report = join(root, 'reports', `${name.replaceAll('/', '-')}.json`);
  rmSync(report, { force: true });
  const { code, why, said } = await follow(
    name,
    process.execPath,
    [
      join(root, 'node_modules/jest/bin/jest.js'),
      ...['--selectProjects', project, '--verbose=false', '--json', `--outputFile=${report}`],
      ...(project === 'unit' ? [] : ['--runInBand']),
      ...files,
    ],
    {
      seconds,
      more: { TZ: 'UTC', CHAINKEEPER_TEST_FULL: full ? '1' : '' },
      // The report goes to stdout as well, in one line.
      onLine: (line) => !line.startsWith('{"numFailedTestSuites"') && !line.startsWith('Test results written to'),
    },
  );
  if (!existsSync(report)) return { passed: 0, failed: 1, why: `jest left no report: ${why}`, said };
  const counts = JSON.parse(readFileSync(report, 'utf8'));
  const unseen = counts.numPendingTests + counts.numTodoTests;
  // A file that does not load has no tests to count.
  const failed = Math.max(counts.numFailedTests, counts.numFailedTestSuites) + unseen;
  const silent = failed === 0 && (code !== 0 || counts.numTotalTests === 0);
  return {
    passed: counts.numPassedTests,
    failed: failed + (silent ? 1 : 0),
    why: unseen ? `${unseen} skipped` : silent ? `${why}, ${counts.numTotalTests} tests` : '',
    said,
  };
}

/** Counts the lines of bats' TAP; what was planned and did not come failed. Tests with the tag "full" are for the full run. */
export async function bats(name, files, { seconds, full }) {
  let planned = 0;
  let passed = 0;
  let failed = 0;
  const { code, why, said } = await follow(name, 'bats', ['--tap', ...(full ? [] : ['--filter-tags', '!full']), ...files], {
    seconds,
    more: { CHAINKEEPER_TEST_FULL: full ? '1' : '' },
    onLine: (line) => {
      planned = Number(/^1\.\.(\d+)$/.exec(line)?.[1] ?? planned);
      if (line.startsWith('not ok') || /^ok .*# skip/.test(line)) failed += 1;
      else if (line.startsWith('ok ')) passed += 1;
      return true;
    },
  });
  const missing = planned - passed - failed;
  const silent = failed + missing === 0 && (code !== 0 || planned === 0);
  return { passed, failed: failed + Math.max(missing, 0) + (silent ? 1 : 0), why, said };
}

/** A program that is content with some files or not: each counts as one test. */
export async function lint(name, program, args, files, { seconds }) {
  const { code, why, said } = await follow(name, program, [...args, ...files], { seconds });
  return code === 0 ? { passed: files.length, failed: 0, why, said } : { passed: 0, failed: 1, why, said };
}
