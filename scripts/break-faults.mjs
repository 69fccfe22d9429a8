// npm run test:broken [-- FAMILY...]: takes one rule of the product away for each family of faults, in a copy of what is committed, and wants
// the fault suite to notice it. Prints what was seen as a table; fails when a fault stays green, or its family has no entry in test/faults/broken.mjs.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BROKEN } from '../test/faults/broken.mjs';
import { capture, env, giveUp, root, run, say } from './lib/run.mjs';
import { setup } from './lib/setup.mjs';

/** A lab, a fault and its aftermath, on a machine that does much else besides. */
const LONGEST_MS = 20 * 60_000;

const asked = process.argv.slice(2);
const strangers = asked.filter((name) => BROKEN.every(({ family }) => family !== name));
if (strangers.length > 0)
  giveUp(`No such family: ${strangers.join(', ')}. There are ${BROKEN.map(({ family }) => family).join(', ')}.`);
const missing = await setup('test');
if (missing.length > 0) giveUp(`The faults need ${missing.map(({ program }) => program).join(', ')}; see above.`);

const copy = mkdtempSync(join(tmpdir(), 'chainkeeper-broken-'));
const rows = [];
let uncovered = [];
let told = null;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => (told = signal));
try {
  must(capture('git', ['clone', '--quiet', root, copy]));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(join(copy, 'reports'));
  const titles = await titlesOfFaults();
  const familyOf = (title) => /^a fault, on \w+ (.*?), /.exec(title)?.[1] ?? null;
  uncovered = [...new Set(titles.map(familyOf))].filter(
    (family) => family !== null && BROKEN.every((entry) => entry.family !== family),
  );
  for (const entry of BROKEN) {
    if (told !== null || (asked.length > 0 && !asked.includes(entry.family))) continue;
    const began = Date.now();
    const row = { ...entry, ...(await strike(entry, titles)) };
    rows.push(row);
    say(`${row.family} | ${row.red ? 'noticed' : 'NOT NOTICED'} in ${((Date.now() - began) / 1000).toFixed(0)} s: ${row.said}`);
  }
} finally {
  rmSync(copy, { recursive: true, force: true });
}

// Where a lab lies is chance.
const cell = (text) =>
  text
    .replace(/\/\S+\/lab\/|:$/g, '')
    .replaceAll('\\t', ' ')
    .replaceAll('|', '\\|');
say('\n| family | what was broken | the fault | what was said |\n|---|---|---|---|');
for (const { family, broken, file, fault, said, red } of rows)
  say(`| ${[family, `${broken} (\`${file}\`)`, fault, red ? said : `NOT NOTICED: ${said}`].map(cell).join(' | ')} |`);
if (uncovered.length > 0)
  say(`\nNothing is broken for: ${uncovered.join(', ')}. Each family has its entry in test/faults/broken.mjs.`);
const red = rows.filter((row) => row.red).length;
say(`\n${red} of ${rows.length} noticed`);
process.exitCode = told === null && red === rows.length && rows.length > 0 && uncovered.length === 0 ? 0 : 1;

/** Breaks the rule, has the fault strike, and puts the rule back. */
async function strike(entry, titles) {
  const title = `a fault, on ${entry.books ?? 'mariadb'} ${entry.family}, ${entry.fault}`;
  if (!titles.includes(title)) return { red: false, said: 'there is no such fault' };
  const path = join(copy, entry.file);
  const text = readFileSync(path, 'utf8');
  const places = text.split(entry.find);
  if (places.length !== 2) return { red: false, said: `what is to be broken stands ${places.length - 1} times in ${entry.file}` };
  try {
    writeFileSync(path, places.join(entry.replace));
    build(entry.file);
    const { words, assertionResults } = await jest(`^${title.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}$`);
    const ran = assertionResults.filter(({ status }) => status !== 'pending');
    if (ran.length !== 1 || ran[0].fullName !== title)
      return { red: false, said: `the fault has not struck: ${words.slice(-2000)}` };
    if (ran[0].status !== 'failed') return { red: false, said: 'nothing: the fault is green' };
    const looks = saidBy(ran[0].failureMessages[0] ?? '');
    const seen = looks.find((look) => entry.sees.test(look));
    return seen === undefined ? { red: false, said: `something else: ${looks.join('; ')}` } : { red: true, said: seen };
  } finally {
    writeFileSync(path, text);
    build(entry.file);
    // What a fault has left that was ended by force.
    await run('test/lab/lab.sh', ['reap'], { cwd: copy });
  }
}

function build(file) {
  if (file.startsWith('agent/')) must(capture('agent/build.sh', [], { cwd: copy }));
}

/** What was received and not expected, line by line; the first words of an error that a fault's own look has thrown. */
function saidBy(message) {
  const [first = ''] = message.split('\n');
  if (!first.includes('expect(')) return [first.replace(/^\w*Error: /, '')];
  return [...message.matchAll(/^\+ +(?:"(?:outcome|made|next)": )?"(.*)",?$/gm)].map(([, text]) => text);
}

/** Every fault's title; none of them strikes. */
async function titlesOfFaults() {
  const { words, assertionResults } = await jest('^none of them$');
  if (assertionResults.length === 0) throw new Error(`The faults cannot be listed: ${words}`);
  return assertionResults.map(({ fullName }) => fullName);
}

async function jest(titles) {
  const report = join(copy, 'reports/broken.json');
  rmSync(report, { force: true });
  const said = [];
  await run(
    process.execPath,
    [
      join(copy, 'node_modules/jest/bin/jest.js'),
      ...['--selectProjects', 'faults', '--runInBand', '--colors=false', '--json', `--outputFile=${report}`, '-t', titles],
    ],
    {
      hear: (chunk) => said.push(chunk),
      cwd: copy,
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
      env: { ...env, TZ: 'UTC', CHAINKEEPER_TEST_FULL: '1' },
    },
  );
  const words = Buffer.concat(said).toString();
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
    return { words, assertionResults: testResults.flatMap(({ assertionResults }) => assertionResults) };
  } catch {
    return { words, assertionResults: [] };
  }
}

function must({ code, out, err }) {
  if (code !== 0) throw new Error(err.trim() || out.trim());
}
