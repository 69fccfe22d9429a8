import type { Assurance } from '../chain/assurance';
import { NO_COUNTS } from './retention-rules';
import { type DatedPoint, type RetentionPolicy, selectKept } from './select-kept';

const point = (moment: string, assurance: Assurance | null = 'accounted'): DatedPoint => ({
  uuid: moment,
  date: Date.parse(`${moment}:00Z`) / 1000,
  assurance,
});
const kept = (points: readonly DatedPoint[], policy: Partial<RetentionPolicy>, zone = 'UTC'): string[] =>
  [...selectKept(points, { ...NO_COUNTS, ...policy }, zone)].map(([uuid, rule]) => `${uuid} ${rule}`);

const POINTS = [
  '2026-11-29T12:30',
  '2026-11-29T12:10',
  '2026-11-29T11:50',
  '2026-11-28T23:30',
  '2026-11-23T00:10',
  '2026-11-22T23:50',
  '2026-10-31T12:00',
  '2025-12-31T12:00',
].map((moment) => point(moment));

describe('selectKept', () => {
  it.each<[string, Partial<RetentionPolicy>, string[]]>([
    ['the newest', { keepLast: 2 }, ['2026-11-29T12:30 last', '2026-11-29T12:10 last']],
    ['of each hour the newest', { keepHourly: 2 }, ['2026-11-29T12:30 hourly', '2026-11-29T11:50 hourly']],
    [
      'of each day the newest, of days that have one',
      { keepDaily: 3 },
      ['2026-11-29T12:30 daily', '2026-11-28T23:30 daily', '2026-11-23T00:10 daily'],
    ],
    [
      'of each week, from Monday on',
      { keepWeekly: 3 },
      ['2026-11-29T12:30 weekly', '2026-11-22T23:50 weekly', '2026-10-31T12:00 weekly'],
    ],
    ['of each month', { keepMonthly: 2 }, ['2026-11-29T12:30 monthly', '2026-10-31T12:00 monthly']],
    ['of each year', { keepYearly: 9 }, ['2026-11-29T12:30 yearly', '2025-12-31T12:00 yearly']],
    [
      'a period that a shorter rule has kept a point of does not count again',
      { keepLast: 1, keepDaily: 1, keepWeekly: 1, keepMonthly: 1, keepYearly: 1 },
      [
        '2026-11-29T12:30 last',
        '2026-11-28T23:30 daily',
        '2026-11-22T23:50 weekly',
        '2026-10-31T12:00 monthly',
        '2025-12-31T12:00 yearly',
      ],
    ],
    ['all where nobody said what', {}, POINTS.map(({ uuid }) => `${uuid} all`)],
  ])('keeps %s', (_what, policy, names) => {
    expect(kept(POINTS, policy)).toEqual(names);
    expect(kept([...POINTS].reverse(), policy).sort()).toEqual([...names].sort());
  });

  it('goes by the days of the zone', () => {
    const [late, early] = [point('2026-11-28T22:30'), point('2026-11-28T23:30')];
    expect(kept([early, late], { keepDaily: 2 })).toEqual([`${early.uuid} daily`]);
    expect(kept([early, late], { keepDaily: 2 }, 'Europe/Berlin')).toEqual([`${early.uuid} daily`, `${late.uuid} daily`]);
  });

  it('of one second keeps the one that is named first', () => {
    const twins = ['a', 'b'].map((uuid) => ({ ...point('2026-11-29T12:30'), uuid }));
    expect(kept(twins, { keepLast: 1 })).toEqual(['a last']);
    expect(kept(twins, { keepHourly: 2 })).toEqual(['a hourly']);
    expect(kept(twins, { keepLast: 2 })).toEqual(['a last', 'b last']);
  });

  it('keeps of each level of worth by itself, the best first: no worse point takes the place of a better one', () => {
    const levels = [null, 'broken', 'unproven', 'accounted', 'proven'] as const;
    const points = levels.map((worth, index) => point(`2026-11-2${9 - index}T12:00`, worth));
    const names = points.map(({ uuid }) => `${uuid} last`);
    expect(kept(points, { keepLast: 1 })).toEqual([...names].reverse());
    // What is worth less than a newer one has no place of its own.
    expect(
      kept(
        points.map((one, index) => ({ ...one, assurance: levels[4 - index] ?? null })),
        { keepLast: 1 },
      ),
    ).toEqual(['2026-11-29T12:00 last']);
    // A better one fills a place of the worse.
    expect(kept(points.slice(2), { keepLast: 2 })).toEqual([
      '2026-11-25T12:00 last',
      '2026-11-26T12:00 last',
      '2026-11-27T12:00 last',
    ]);
  });

  it('names the rule that keeps a point where it counts most', () => {
    const points = [point('2026-11-29T12:00', 'unproven'), point('2026-11-28T12:00')];
    expect(kept(points, { keepLast: 1, keepDaily: 1 })).toEqual(['2026-11-28T12:00 last', '2026-11-29T12:00 last']);
  });
});
