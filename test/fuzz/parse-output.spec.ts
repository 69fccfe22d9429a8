import { deepStrictEqual, ok } from 'node:assert/strict';
import { DIALECTS } from '../../src/domain/agent/facts';
import { parseOutput, type ParsedOutput, type RunOutput } from '../../src/domain/agent/parse-output';
import { THOROUGH } from '../support/thorough';
import { fuzzSeed, Random } from './random';
import { modelRun } from './transcript-model';

/** Facts that name a bitmap, the one way to one besides a marker. */
const FACTS_BITMAP = '{"v":1,"done":{"bitmapNew":"backup-2"}}';

// 100,000 in all: what scripts print, with all that can happen to it, and what no script would ever print.
const MODEL_RUNS = 70_000 * THOROUGH;
const GARBAGE_RUNS = 30_000 * THOROUGH;

/** Every run has a seed of its own, so that the one that fails can be repeated alone. */
function each<T>(runs: number, make: (random: Random) => T, check: (made: T) => void): void {
  for (let index = 0; index < runs; index += 1) {
    const made = make(new Random((fuzzSeed + index * 7919) | 0));
    try {
      check(made);
    } catch (error) {
      throw new Error(`FUZZ_SEED=${fuzzSeed}, run ${index}: ${JSON.stringify(made)}\n${String(error)}`, { cause: error });
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
}

describe(`parseOutput, fuzzed (FUZZ_SEED=${fuzzSeed})`, () => {
  it(`reads ${MODEL_RUNS} transcripts as they are meant`, () => {
    const seen = { good: 0, bad: 0, dirty: 0 };
    each(MODEL_RUNS, modelRun, ({ truth, disks, ...run }) => {
      const parsed = parseOutput(disks === undefined ? run : { ...run, disks });
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
      deepStrictEqual(parsed.details, run.stdout.trim());
      if (parsed.result) seen[parsed.needsCleanup ? 'dirty' : 'good'] += 1;
      else seen.bad += 1;
    });
    // A model that makes only one kind of run tries nothing.
    expect(Math.min(seen.good, seen.bad, seen.dirty * 20)).toBeGreaterThan(MODEL_RUNS / 10);
  });

  it(`survives ${GARBAGE_RUNS} texts that no script would print, and invents nothing`, () => {
    let sizes = 0;
    each(GARBAGE_RUNS, garbage, (output) => {
      const parsed = parseOutput(output);
      checkShape(parsed);
      const words = output.stdout.split('\n').map((line) => line.trim());
      if (parsed.size !== null) {
        sizes += 1;
        const numbers = words.filter((word) => /^[0-9]+$/.test(word)).map(BigInt);
        // Running: the size stands there as a line. Stopped: it is the sum of all lines that are numbers.
        const size = BigInt(parsed.size);
        ok(output.vmState === 'running' ? numbers.includes(size) : numbers.reduce((a, b) => a + b, 0n) === size);
      }
      const told = (marker: string, name: string | null): boolean =>
        name === null || words.some((word) => word.startsWith(`${marker}=`) && word.slice(marker.length + 1).trim() === name);
      ok(told('BITMAP_CREATED', parsed.bitmapCreated) || (parsed.bitmapCreated === 'backup-2' && parsed.facts !== null));
      ok(told('BITMAP_RECREATED', parsed.bitmapRecreated));
    });
    expect(sizes).toBeGreaterThan(GARBAGE_RUNS / 200);
  });
});

const BLANKS = ['\n', '\n', '\n', '\r\n', '\r', ' ', '\t'];
const NUMBERS = ['0', '1', '17', '9007199254740992', '99999999999999999999', '-', '.', 'e', '２'];
const MARKERS = ['BITMAP_CREATED=', 'BITMAP_RECREATED=', 'INCREMENTAL_FALLBACK=', 'FACTS=', 'A=', '=', ':', 'backup-1'];
const WORDS = ['Job type: ', 'Failed', 'Completed', 'error: ', 'umount: ', 'warning: ', 'Virsh backup job failed'];
const JSON_PARTS = ['FACTS={"v":1}', FACTS_BITMAP, '{', '}', '"'];
const ODDITIES = ['\0', '\u001b[31m', '\ud800', '\ufeff', '\u2028', 'é', '__proto__', '$&', '((((('];
const FRAGMENTS = [...BLANKS, ...NUMBERS, ...MARKERS, ...WORDS, ...JSON_PARTS, ...ODDITIES];

const garbage = (random: Random): RunOutput => ({
  dialect: random.pick(DIALECTS),
  vmState: random.pick(['running', 'stopped']),
  exitCode: random.oneIn(2) ? 0 : random.pick([null, -1, 1, 20, 21, 22, 32, 255]),
  stdout: random.some(14, () => random.pick(FRAGMENTS)).join(random.oneIn(2) ? '' : '\n'),
  stderr: random.oneIn(3) ? random.some(6, () => random.pick(FRAGMENTS)).join('') : '',
});
