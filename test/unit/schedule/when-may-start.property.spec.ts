import fc from 'fast-check';
import { isRefusal } from '../../../src/domain/chain/refusal';
import { readStartRules } from '../../../src/domain/schedule/read-start-rules';
import type { StartRules } from '../../../src/domain/schedule/start-rules';
import { WEEKDAYS } from '../../../src/domain/schedule/weekdays';
import { whenMayStart } from '../../../src/domain/schedule/when-may-start';
import { THOROUGH } from '../../support/thorough';
import { MINUTE_MS, PLACES, type Stretch, stretchAround } from './stretch';

const two = (number: number): string => String(number).padStart(2, '0');
/** Most in the hours in which clocks are changed. */
const anyTime = fc
  .tuple(fc.oneof(fc.constantFrom(0, 1, 2, 3, 22, 23), fc.nat(23)), fc.constantFrom(0, 15, 30, 45, 59))
  .map(([hour, minute]) => `${two(hour)}:${two(minute)}`);
const anyWindow = fc
  .tuple(fc.subarray([...WEEKDAYS], { minLength: 1 }), anyTime, fc.oneof(anyTime, fc.constant('24:00')))
  .filter(([, from, to]) => from !== to)
  .map(([days, from, to]) => `${days.join()} ${from}-${to}`);

/** A rule as it is written; days are counted from the place where it is looked at, and null is its zone. */
interface Rule {
  readonly zone: string | null;
  readonly windows: readonly string[];
  readonly dark: readonly (readonly [number, number])[];
  readonly atEnd: 'finish' | 'stop';
}
const anyRule: fc.Arbitrary<Rule> = fc.record({
  zone: fc.constantFrom(null, null, 'UTC', 'Europe/Berlin', 'Australia/Lord_Howe'),
  windows: fc.array(anyWindow, { maxLength: 3 }),
  dark: fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.nat(2)), { maxLength: 2 }),
  atEnd: fc.constantFrom('finish' as const, 'stop' as const),
});

const dayOf = (moment: number): string => new Date(moment).toISOString().slice(0, 10);

function rulesOf(all: readonly Rule[], place: { zone: string; moment: number }): StartRules[] {
  return all.map(({ zone, windows, dark, atEnd }) => {
    const blackouts = dark.map(([from, days]) => {
      const start = place.moment + from * 86_400_000;
      return `${dayOf(start)}..${dayOf(start + days * 86_400_000)}`;
    });
    const rules = readStartRules({ owner: 'offering x', zone: zone ?? place.zone, windows, blackouts, atEnd });
    if (isRefusal(rules)) throw new Error(rules.message);
    return rules;
  });
}

/** The first minute at which clocks have come to a time, by walking. */
function firstAt({ walls }: Stretch, wall: number): number {
  const index = walls.findIndex((shown) => shown >= wall);
  return index < 0 ? walls.length : index;
}

/** Of each minute whether a rule lets something start in it, written apart from the code. */
function openMinutes({ windows, blackouts }: StartRules, stretch: Stretch): boolean[] {
  const open = stretch.walls.map(() => windows.length === 0);
  const paint = (from: number, to: number, as: boolean): void => {
    open.fill(as, firstAt(stretch, from), firstAt(stretch, to));
  };
  const firstDay = Math.floor((stretch.walls[0] ?? 0) / 1440) - 1;
  for (let day = firstDay; day <= firstDay + 8; day += 1)
    for (const { days, from, to } of windows)
      if (days.includes(WEEKDAYS[(((day + 4) % 7) + 7) % 7] ?? 'sun')) paint(day * 1440 + from, day * 1440 + to, true);
  for (const { from, to } of blackouts) paint(Date.parse(from) / MINUTE_MS, Date.parse(to) / MINUTE_MS + 1440, false);
  return open;
}

describe('whenMayStart, over any windows, blackouts, zones and changes of clocks', () => {
  it('finds what somebody finds who walks through the minutes', () => {
    const met: Record<string, number> = { 'at once': 0, later: 0, beyond: 0, stopped: 0 };
    fc.assert(
      fc.property(
        fc.array(anyRule, { minLength: 1, maxLength: 2 }),
        fc.constantFrom(...PLACES),
        fc.integer({ min: 1440, max: 4 * 1440 }),
        fc.nat(59_999),
        (all, place, minute, more) => {
          const rules = rulesOf(all, place);
          const { start } = stretchAround(place.zone, place.moment);
          const opens = rules.map((rule) => openMinutes(rule, stretchAround(rule.zone, place.moment)));
          const at = start + minute * MINUTE_MS + more;
          const length = opens[0]?.length ?? 0;
          const end = start + length * MINUTE_MS;
          const first = Array.from({ length: length - minute }, (_, index) => minute + index).find((index) =>
            opens.every((open) => open[index]),
          );
          const found = whenMayStart(rules, new Date(at));
          const say = (): string => `${JSON.stringify(rules)} at ${new Date(at).toISOString()}: ${JSON.stringify(found)}`;
          if (first === undefined) {
            if (found !== null && found.at.getTime() < end) throw new Error(`${say()}, and nothing is open`);
            met['beyond'] = (met['beyond'] ?? 0) + 1;
            return;
          }
          const wanted = first === minute ? at : start + first * MINUTE_MS;
          if (found?.at.getTime() !== wanted) throw new Error(`${say()}, and not ${new Date(wanted).toISOString()}`);
          if ((found.because === null) !== (wanted === at)) throw new Error(`${say()}: the reason does not fit`);
          met[wanted === at ? 'at once' : 'later'] = (met[wanted === at ? 'at once' : 'later'] ?? 0) + 1;
          const stops = opens
            .filter((_, index) => rules[index]?.atEnd === 'stop')
            .map((open) => open.findIndex((isOpen, index) => index > first && !isOpen))
            .filter((index) => index >= 0);
          const stopAt = stops.length === 0 ? null : start + Math.min(...stops) * MINUTE_MS;
          if (stopAt === null ? found.stopAt !== null && found.stopAt.getTime() < end : found.stopAt?.getTime() !== stopAt)
            throw new Error(`${say()}, and it is to be stopped at ${String(stopAt && new Date(stopAt).toISOString())}`);
          if (stopAt !== null) met['stopped'] = (met['stopped'] ?? 0) + 1;
        },
      ),
      { numRuns: 600 * THOROUGH },
    );
    for (const [what, times] of Object.entries(met)) expect([what, times > 20, times]).toEqual([what, true, times]);
  });
});
