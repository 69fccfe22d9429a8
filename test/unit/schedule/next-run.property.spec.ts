import fc from 'fast-check';
import { DateTime } from 'luxon';
import { isRefusal } from '../../../src/domain/chain/refusal';
import { nextRun } from '../../../src/domain/schedule/next-run';
import { readRecurrence } from '../../../src/domain/schedule/read-recurrence';
import type { Recurrence } from '../../../src/domain/schedule/recurrence';
import { THOROUGH } from '../../support/thorough';
import { MINUTE_MS, PLACES, type Stretch, stretchAround, ZONES } from './stretch';

/** One part of a cron pattern: as it is written, and which numbers it means; null: it leaves all open. */
interface Part {
  readonly text: string;
  readonly numbers: readonly number[] | null;
  readonly fixed: boolean;
}

const star: Part = { text: '*', numbers: null, fixed: false };
const listed = (numbers: readonly number[]): Part => ({ text: numbers.join(), numbers, fixed: true });
const stepped = (step: number, size: number): Part => ({
  text: `*/${step}`,
  numbers: Array.from({ length: Math.ceil(size / step) }, (_, index) => index * step),
  fixed: false,
});
const ranged = ([from, to]: readonly [number, number]): Part => ({
  ...listed(Array.from({ length: to - from + 1 }, (_, index) => from + index)),
  text: `${from}-${to}`,
});

const some = (one: fc.Arbitrary<number>, most: number): fc.Arbitrary<Part> =>
  fc.uniqueArray(one, { minLength: 1, maxLength: most }).map(listed);
const span = (low: number, high: number): fc.Arbitrary<Part> =>
  fc
    .tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }))
    .map(([a, b]) => ranged([Math.min(a, b), Math.max(a, b)]));

const anyMinute = fc.oneof(
  { weight: 5, arbitrary: some(fc.nat(59), 3) },
  { weight: 1, arbitrary: span(0, 59) },
  { weight: 1, arbitrary: fc.constantFrom(star, stepped(15, 60), stepped(7, 60)) },
);
/** Most in the hours in which clocks are changed. */
const anyHour = fc.oneof(
  { weight: 5, arbitrary: some(fc.constantFrom(0, 1, 2, 3, 23, 12), 3) },
  { weight: 1, arbitrary: span(0, 23) },
  { weight: 4, arbitrary: fc.constantFrom(star, stepped(2, 24), stepped(1, 24)) },
);
const anyDay = fc.oneof(
  { weight: 9, arbitrary: fc.constant(star) },
  { weight: 1, arbitrary: some(fc.integer({ min: 1, max: 31 }), 9) },
);
const anyMonth = fc.oneof(
  { weight: 9, arbitrary: fc.constant(star) },
  { weight: 1, arbitrary: some(fc.integer({ min: 1, max: 12 }), 6) },
);
const anyWeekday = fc.oneof({ weight: 9, arbitrary: fc.constant(star) }, { weight: 1, arbitrary: some(fc.nat(6), 4) });
type Parts = readonly [Part, Part, Part, Part, Part];
const anyParts: fc.Arbitrary<Parts> = fc.tuple(anyMinute, anyHour, anyDay, anyMonth, anyWeekday);

const read = (parts: Parts): Recurrence | null => {
  const answer = readRecurrence({ cron: parts.map(({ text }) => text).join(' ') });
  if (!isRefusal(answer)) return answer;
  // A day of a month that has it not.
  if (answer.code !== 'schedule.never') throw new Error(answer.message);
  return null;
};

const isIn = ({ numbers }: Part, number: number): boolean => numbers === null || numbers.includes(number);

function matches([minute, hour, day, month, weekday]: Parts, wall: number): boolean {
  if (!isIn(minute, wall % 60)) return false;
  const date = new Date(wall * MINUTE_MS);
  if (!isIn(hour, date.getUTCHours()) || !isIn(month, date.getUTCMonth() + 1)) return false;
  const [onDay, onWeekday] = [isIn(day, date.getUTCDate()), isIn(weekday, date.getUTCDay())];
  // As cron has it since ever: where both are named, either will do.
  return day.numbers !== null && weekday.numbers !== null ? onDay || onWeekday : onDay && onWeekday;
}

const dayOf = (wall: number): number => Math.floor(wall / 1440);

/** All minutes of a stretch at which something is run, found by walking through them: written apart from the code. */
function walk(parts: Parts, { start, walls }: Stretch, met: Record<string, number>): number[] {
  const fixed = parts[0].fixed && parts[1].fixed;
  const seen = new Set<number>();
  return walls.flatMap((wall, index) => {
    const before = walls[index - 1] ?? wall - 1;
    const again = seen.has(wall);
    seen.add(wall);
    let runs = matches(parts, wall) && !(fixed && again);
    if (matches(parts, wall) && again)
      met[fixed ? 'once of two' : 'both of two'] = (met[fixed ? 'once of two' : 'both of two'] ?? 0) + 1;
    for (let skipped = before + 1; skipped < wall; skipped += 1) {
      if (!matches(parts, skipped)) continue;
      const kept = fixed && dayOf(skipped) === dayOf(wall);
      met[kept ? 'after the gap' : 'lost in the gap'] = (met[kept ? 'after the gap' : 'lost in the gap'] ?? 0) + 1;
      runs ||= kept;
    }
    return runs ? [start + index * MINUTE_MS] : [];
  });
}

const anyPlace = fc.constantFrom(...PLACES);

describe('nextRun, over any patterns, zones and changes of clocks', () => {
  it('finds what somebody finds who walks through the minutes', () => {
    const met: Record<string, number> = { runs: 0, beyond: 0 };
    fc.assert(
      fc.property(
        anyParts,
        anyPlace,
        fc.array(fc.nat(5 * 86_400_000 - 1), { minLength: 3, maxLength: 3 }),
        (parts, { zone, moment }, afters) => {
          const recurrence = read(parts);
          if (recurrence === null) return;
          const stretch = stretchAround(zone, moment);
          const expected = walk(parts, stretch, met);
          const end = stretch.start + stretch.walls.length * MINUTE_MS;
          // Somewhere within, at a run, and a moment before one.
          const ofRuns = afters.slice(1).flatMap((pick, index) => (expected[pick % Math.max(1, expected.length)] ?? end) - index);
          for (const after of [stretch.start + (afters[0] ?? 0), ...ofRuns]) {
            const next = nextRun(recurrence, zone, new Date(after))?.getTime() ?? Infinity;
            const wanted = expected.find((at) => at > after);
            if (wanted === undefined ? next < end : next !== wanted)
              throw new Error(
                `${recurrence.cron} in ${zone} after ${new Date(after).toISOString()}: ${new Date(next).toISOString()}, and not ${
                  wanted === undefined ? 'beyond' : new Date(wanted).toISOString()
                }`,
              );
            met[wanted === undefined ? 'beyond' : 'runs'] = (met[wanted === undefined ? 'beyond' : 'runs'] ?? 0) + 1;
          }
        },
      ),
      { numRuns: 400 * THOROUGH },
    );
    for (const what of ['runs', 'beyond', 'once of two', 'both of two', 'after the gap', 'lost in the gap'])
      expect([what, (met[what] ?? 0) > 5, met[what]]).toEqual([what, true, met[what]]);
  });

  it('goes forward, never to one moment twice, and answers the same from wherever in between it is asked', () => {
    fc.assert(
      fc.property(
        anyParts,
        anyPlace,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 20, maxLength: 20 }),
        (parts, { zone, moment }, picks) => {
          const recurrence = read(parts);
          if (recurrence === null) return;
          let at = new Date(moment - 86_400_000);
          for (const pick of picks) {
            const next = nextRun(recurrence, zone, at);
            if (next === null || next <= at)
              throw new Error(`${recurrence.cron} in ${zone}: ${String(next)} after ${at.toISOString()}`);
            if (next.getTime() % MINUTE_MS !== 0) throw new Error(`${next.toISOString()} is no whole minute`);
            const between = new Date(at.getTime() + Math.floor(pick * (next.getTime() - at.getTime() - 1)));
            const again = nextRun(recurrence, zone, between);
            if (again?.getTime() !== next.getTime())
              throw new Error(
                `${recurrence.cron} in ${zone}: ${String(again?.toISOString())} after ${between.toISOString()}, ${next.toISOString()} before`,
              );
            at = next;
          }
        },
      ),
      { numRuns: 60 * THOROUGH },
    );
  });

  it('means by CloudStack’s notation what CloudStack means', () => {
    fc.assert(
      fc.property(
        fc.nat(3),
        fc.nat(59),
        fc.nat(23),
        fc.nat(27),
        fc.constantFrom(...ZONES),
        fc.nat(20 * 365),
        (type, minute, hour, pick, zone, day) => {
          // Java counts the days of a week from Sunday as 1.
          const last = type === 2 ? (pick % 7) + 1 : pick + 1;
          const text = [minute, hour, last].slice(0, Math.min(type + 1, 3)).join(':');
          const recurrence = readRecurrence({ type, text });
          if (isRefusal(recurrence)) throw new Error(recurrence.message);
          const after = Date.UTC(2012, 0) + day * 86_400_000;
          const next = nextRun(recurrence, zone, new Date(after));
          const shown = DateTime.fromMillis(next?.getTime() ?? NaN, { zone });
          const [offset, before] = [shown.offset, shown.minus({ hours: 2 }).offset];
          // Near a change it may be another time of the day.
          if (offset !== before) return;
          const said = [
            shown.minute,
            ...(type > 0 ? [shown.hour] : []),
            ...(type === 2 ? [(shown.weekday % 7) + 1] : type === 3 ? [shown.day] : []),
          ];
          if (said.join(':') !== text)
            throw new Error(`${text} (${type}) in ${zone} after ${new Date(after).toISOString()}: ${String(shown.toISO())}`);
          const longest = [1, 24, 7 * 24, 31 * 24][type] ?? 0;
          if ((next?.getTime() ?? Infinity) - after > (longest + 24) * 3_600_000)
            throw new Error(`${text} (${type}) in ${zone}: one was left out`);
        },
      ),
      { numRuns: 400 * THOROUGH },
    );
  });
});
