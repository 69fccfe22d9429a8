// npm run mutate [-- TARGET...]: breaks the decisions, the settlements and the parser in every small way, and counts what the tests notice.
import { Stryker } from '@stryker-mutator/core';
import { giveUp, say } from './lib/run.mjs';

const CHAIN = 'src/domain/chain';
const AGENT = 'src/domain/agent';
const RETENTION = 'src/domain/retention';
const RESTORE = 'src/domain/restore';
const files = (folder, ...names) => names.map((name) => `${folder}/${name}.ts`);

// Each with the tests that are about it: with all tests every mutant would take minutes.
const TARGETS = {
  decideBackup: {
    mutate: [
      ...files(CHAIN, 'decide-backup', 'refuse-backup', 'find-parent', 'backup-names'),
      ...files(CHAIN, 'check-policy', 'check-parent', 'check-disks', 'check-bitmaps', 'check-script', 'choose-transfer'),
    ],
    tests: files(CHAIN, 'decide-backup.spec', 'backup-names.spec', 'choose-transfer.spec'),
  },
  settleBackup: {
    mutate: files(CHAIN, 'settle-backup', 'read-run', 'check-run', 'assure-run'),
    tests: files(CHAIN, 'settle-backup.spec', 'stock-outcomes.spec'),
  },
  planDeletion: {
    mutate: files(CHAIN, 'plan-deletion', 'restore-points'),
    tests: files(CHAIN, 'plan-deletion.spec'),
  },
  planRetention: {
    mutate: files(RETENTION, 'plan-retention', 'select-kept'),
    // Without the property test, which takes ten seconds: the examples have to notice by themselves.
    tests: files(RETENTION, 'plan-retention.spec', 'select-kept.spec'),
  },
  planRestore: {
    mutate: files(RESTORE, 'plan-restore'),
    tests: files(RESTORE, 'plan-restore.spec'),
  },
  settleRestore: {
    mutate: files(RESTORE, 'settle-restore'),
    tests: files(RESTORE, 'settle-restore.spec'),
  },
  parseOutput: {
    mutate: [
      ...files(AGENT, 'parse-output', 'transcript', 'read-size', 'judge-run', 'exit-codes'),
      ...files(AGENT, 'failure-texts', 'read-facts'),
    ],
    tests: files(AGENT, 'parse-output.spec', 'exit-codes.spec', 'read-facts.spec'),
  },
};
const LOWEST = 90;

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(TARGETS, name));
if (unknown.length > 0) giveUp(`No such target: ${unknown.join(', ')}. There are ${Object.keys(TARGETS).join(', ')}.`);

/** Runs Stryker on one target; the share of its mutants that a test noticed, in percent. */
async function score(name, { mutate, tests }) {
  const stryker = new Stryker({
    mutate,
    testRunner: 'jest',
    coverageAnalysis: 'perTest',
    concurrency: Number(process.env.MUTATE_CONCURRENCY ?? 1),
    // A loaded machine is no endless loop.
    timeoutMS: 30_000,
    jest: {
      projectType: 'custom',
      // The tests of a target are named: to look for them again for every mutant takes longer than to run them.
      enableFindRelatedTests: false,
      config: {
        // In place of those of jest.config.cjs.
        projects: [],
        testEnvironment: 'node',
        transform: { '^.+\\.ts$': ['@swc/jest'] },
        moduleFileExtensions: ['ts', 'js', 'json'],
        setupFiles: ['<rootDir>/test/support/setup.ts'],
        roots: ['<rootDir>/src/domain', '<rootDir>/test'],
        testMatch: tests.map((test) => `<rootDir>/${test}`),
      },
    },
    ignorePatterns: ['/dist', '/agent', '/docs', '/reports', '/migrations', '/bin', '/scripts'],
    tempDirName: '.stryker-tmp',
    reporters: ['clear-text', 'json', process.stdout.isTTY ? 'progress' : 'progress-append-only'],
    jsonReporter: { fileName: `reports/mutation-${name}.json` },
    clearTextReporter: { allowColor: false, reportTests: false, reportMutants: true, reportScoreTable: true },
  });
  const counts = {};
  for (const { status } of await stryker.runMutationTest()) counts[status] = (counts[status] ?? 0) + 1;
  const noticed = (counts.Killed ?? 0) + (counts.Timeout ?? 0);
  const missed = (counts.Survived ?? 0) + (counts.NoCoverage ?? 0);
  return { name, noticed, missed, percent: (100 * noticed) / (noticed + missed) };
}

const scores = [];
for (const [name, target] of Object.entries(TARGETS)) {
  if (wanted.length === 0 || wanted.includes(name)) scores.push(await score(name, target));
}
say('\ntarget         noticed  missed  score');
for (const { name, noticed, missed, percent } of scores) {
  say(`${name.padEnd(13)} ${String(noticed).padStart(8)} ${String(missed).padStart(7)} ${percent.toFixed(1).padStart(6)}`);
}
process.exitCode = scores.every(({ percent }) => percent >= LOWEST) ? 0 : 1;
