import { deepStrictEqual, ok } from 'node:assert/strict';
import { DIALECTS } from '../../src/domain/agent/facts';
import { parseOutput, type ParsedOutput, type RunOutput } from '../../src/domain/agent/parse-output';
import { fuzzSeed, Random } from './random';
import { modelRun } from './transcript-model';

// 100,000 in all: what scripts print, with all that can happen to it, and what no script would ever print.
const MODEL_RUNS = 70_000;
const GARBAGE_RUNS = 30_000;

/** Every run has a seed of its own, so that the one that fails can be repeated alone. */
function each(runs: number, run: (random: Random) => RunOutput, check: (output: RunOutput) => void): void {
  for (let index = 0; index < runs; index += 1) {
    const output = run(new Random((fuzzSeed + index * 7919) | 0));
    try {
      check(output);
    } catch (error) {
      throw new Error(`FUZZ_SEED=${fuzzSeed}, run ${index}: ${JSON.stringify(output)}\n${String(error)}`, { cause: error });
    }
  }
}

/** What holds of every answer. */
function checkShape(parsed: ParsedOutput): void {
  deepStrictEqual(parsed.code === null, parsed.result);
  deepStrictEqual(parsed.size === null, !parsed.result);
  ok(parsed.size === null || (Number.isSafeInteger(parsed.size) && parsed.size > 0));
  ok(parsed.result || parsed.bitmapCreated === null);
  ok(parsed.code === null || /^[a-z]+(-[a-z0-9]+)*$/.test(parsed.code));
  ok(parsed.warnings.every((warning) => /^[a-z0-9-]+: /.test(warning)));
  deepStrictEqual(
    [parsed.incrementalFallback, parsed.needsCleanup].map((value) => typeof value),
    ['boolean', 'boolean'],
  );
  JSON.parse(JSON.stringify(parsed));
}

describe(`parseOutput, fuzzed (FUZZ_SEED=${fuzzSeed})`, () => {
  it(`reads ${MODEL_RUNS} transcripts as they are meant`, () => {
    const seen = { good: 0, bad: 0, dirty: 0 };
    for (let index = 0; index < MODEL_RUNS; index += 1) {
      const { truth, disks, ...run } = modelRun(new Random((fuzzSeed + index * 7919) | 0));
      const output: RunOutput = disks === undefined ? run : { ...run, disks };
      const parsed = parseOutput(output);
      try {
        checkShape(parsed);
        const { size, result, bitmapCreated, bitmapRecreated, incrementalFallback, needsCleanup } = parsed;
        const unknownMarkers = parsed.warnings.flatMap((warning) => /^unknown-marker: ([A-Z_]+)=/.exec(warning)?.[1] ?? []);
        deepStrictEqual(
          {
            ...{ result, size, bitmapCreated, bitmapRecreated, incrementalFallback, needsCleanup },
            code: truth.code === undefined ? undefined : parsed.code,
            unknownMarkers: unknownMarkers.sort(),
          },
          { ...truth, unknownMarkers: [...truth.unknownMarkers].sort() },
        );
        deepStrictEqual(parsed.details, output.stdout.trim());
      } catch (error) {
        throw new Error(`FUZZ_SEED=${fuzzSeed}, run ${index}: ${JSON.stringify({ ...output, truth })}\n${String(error)}`, {
          cause: error,
        });
      }
      if (parsed.result) seen[parsed.needsCleanup ? 'dirty' : 'good'] += 1;
      else seen.bad += 1;
    }
    // A model that makes only one kind of run tries nothing.
    expect(Math.min(seen.good, seen.bad, seen.dirty * 20)).toBeGreaterThan(MODEL_RUNS / 10);
  });

  it(`survives ${GARBAGE_RUNS} texts that no script would print, and invents nothing`, () => {
    let sizes = 0;
    each(GARBAGE_RUNS, garbage, (output) => {
      const parsed = parseOutput(output);
      checkShape(parsed);
      const words = output.stdout.split(/[\r\n]/).map((line) => line.trim());
      if (parsed.size !== null) {
        sizes += 1;
        const numbers = words.filter((word) => /^[0-9]+$/.test(word)).map(BigInt);
        // Running: the size stands there as a line. Stopped: it is the sum of all lines that are numbers.
        const size = BigInt(parsed.size);
        ok(output.vmState === 'running' ? numbers.includes(size) : numbers.reduce((a, b) => a + b, 0n) === size);
      }
      for (const [marker, name] of [
        ['BITMAP_CREATED', parsed.bitmapCreated],
        ['BITMAP_RECREATED', parsed.bitmapRecreated],
      ] as const) {
        ok(name === null || words.includes(`${marker}=${name}`));
      }
    });
    expect(sizes).toBeGreaterThan(GARBAGE_RUNS / 100);
  });
});

const FRAGMENTS = [
  ...[
    '\n',
    '\n',
    '\n',
    '\r\n',
    '\r',
    ' ',
    '\t',
    '=',
    ':',
    '-',
    '.',
    'e',
    '0',
    '1',
    '17',
    '9007199254740992',
    '99999999999999999999',
  ],
  ...[
    'BITMAP_CREATED=',
    'BITMAP_RECREATED=',
    'INCREMENTAL_FALLBACK=',
    'FACTS=',
    'FACTS={"v":1}',
    'backup-1',
    'Job type: ',
    'Failed',
  ],
  ...[
    'Completed',
    'error: ',
    'umount: ',
    'warning: ',
    'Virsh backup job failed',
    '{"v":1,"done":{"bitmapNew":"backup-2"}}',
    '{',
    '}',
    '"',
  ],
  ...['\0', '\u001b[31m', '\ud800', '\ufeff', '\u2028', 'é', '２', '__proto__', '$&', '(((((', 'A='],
];

const garbage = (random: Random): RunOutput => ({
  dialect: random.pick(DIALECTS),
  vmState: random.pick(['running', 'stopped']),
  exitCode: random.oneIn(2) ? 0 : random.pick([null, -1, 1, 20, 21, 22, 32, 255]),
  stdout: random.some(14, () => random.pick(FRAGMENTS)).join(''),
  stderr: random.oneIn(3) ? random.some(6, () => random.pick(FRAGMENTS)).join('') : '',
});
