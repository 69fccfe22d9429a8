import { toDetails } from '../../src/domain/chain/chain-keys';
import { planRetention } from '../../src/domain/retention/plan-retention';
import { NO_COUNTS } from '../../src/domain/retention/retention-rules';
import {
  expectedSizes,
  type SimulatedDay,
  simulateRetention,
  type SimulationInput,
} from '../../src/domain/retention/simulate-retention';
import type { Weekday } from '../../src/domain/schedule/weekdays';
import { type Rhythm, takesEvery } from '../../src/domain/retention/takes-ahead';
import { full, keys, parent } from './chain/situation';

const DAY = 86_400;
const NOW = Date.UTC(2026, 10, 29, 12) / 1000;

/** A VM with a full of 100 bytes of three days ago and an incremental of 10 of yesterday. */
const backups = [
  parent({
    ...{ uuid: 'two', date: NOW - DAY, size: 10, assurance: 'accounted' },
    details: toDetails(keys({ parentBackupId: 'one', bitmapName: 'backup-1002', position: 1, type: 'incremental' })),
  }),
  full({
    ...{ uuid: 'one', date: NOW - 3 * DAY, size: 100, assurance: 'accounted' },
    details: toDetails(keys({ parentBackupId: null, bitmapName: 'backup-1001', position: 0, type: 'full' })),
  }),
];
const origin = { scheduleId: null, manual: false };

type Over = Partial<SimulationInput> & { readonly rhythms?: readonly Rhythm[] };
const input = ({ rhythms = [{ every: DAY, scheduleId: null }], ...over }: Over = {}): SimulationInput => ({
  ...{ backups, activeCheckpointId: 'backup-1002', protections: [], notComparedSince: null, schedules: [] },
  origins: new Map([
    ['one', origin],
    ['two', origin],
  ]),
  ...{ policy: { ...NO_COUNTS, keepLast: 2 }, minAgeHours: 0, zone: 'UTC', manual: false },
  ...{ now: NOW, days: 6, takes: takesEvery(rhythms, NOW, over.days ?? 6), fullEvery: 3, incrementalEnabled: true },
  fullRule: { weekday: null, everyDays: null, zone: 'UTC' },
  ...over,
});
const look = (over?: Over): SimulatedDay[] => [...simulateRetention(input(over))];
const column = <K extends keyof SimulatedDay>(days: readonly SimulatedDay[], key: K): SimulatedDay[K][] =>
  days.map((day) => day[key]);

describe('simulateRetention', () => {
  it('goes on with the real chain, and lets go after each backup what no rule keeps', () => {
    // Today; then I of the real chain, F I I, F I. With two kept, links that they stand on stay hidden.
    const days = look();
    expect(column(days, 'date')).toEqual([0, 1, 2, 3, 4, 5, 6].map((day) => NOW + day * DAY));
    expect(column(days, 'fulls')).toEqual([0, 0, 1, 0, 0, 1, 0]);
    expect(column(days, 'incrementals')).toEqual([0, 1, 0, 1, 1, 0, 1]);
    expect(column(days, 'bytesWritten')).toEqual([0, 10, 100, 10, 10, 100, 10]);
    expect(column(days, 'points')).toEqual(Array(7).fill(2));
    // The first chain has gone on the third day (its last link is not among the newest two), the second on the sixth.
    expect(column(days, 'removed')).toEqual([0, 0, 0, 3, 0, 0, 3]);
    expect(column(days, 'bytesFreed')).toEqual([0, 0, 0, 120, 0, 0, 120]);
    expect(column(days, 'bytes')).toEqual([110, 120, 220, 110, 120, 220, 110]);
    expect(column(days, 'longestGap')).toEqual([2 * DAY, 2 * DAY, DAY, DAY, DAY, DAY, DAY]);
  });

  it('begins with what goes today, as the plan of today has it', () => {
    const policy = { ...NO_COUNTS, keepLast: 1 };
    const [today] = look({ policy, days: 1 });
    const { bytesFreed, pointsLeft } = planRetention(input({ policy }));
    expect(today).toMatchObject({ bytesFreed, points: pointsLeft, fulls: 0, incrementals: 0, longestGap: null });
    const alone = [{ ...(backups[1] ?? full()) }, full({ uuid: 'old', date: NOW - 9 * DAY, size: 7, details: [] })];
    const origins = new Map([...input().origins, ['old', origin]]);
    expect(look({ policy, days: 1, backups: alone, origins })[0]).toMatchObject({ bytesFreed: 7, removed: 1, points: 1 });
  });

  it('each rhythm counts for its own schedule', () => {
    const schedules = [
      { id: 1, name: 'daily', maxBackups: 2 },
      { id: 2, name: 'weekly', maxBackups: 1 },
    ];
    const rhythms = [
      { every: DAY, scheduleId: 1 },
      { every: 7 * DAY, scheduleId: 2 },
    ];
    const days = look({ schedules, rhythms, policy: NO_COUNTS, days: 28, backups: [], activeCheckpointId: null });
    expect(column(days, 'points').slice(0, 9)).toEqual([0, 1, 2, 2, 2, 2, 2, 3, 3]);
    expect(days.at(-1)?.points).toBe(3);
    // The one that somebody asked for stays, whatever is taken.
    expect(look({ schedules, rhythms, policy: NO_COUNTS, days: 28 }).at(-1)?.points).toBe(5);
  });

  it('takes fulls alone where nothing else is allowed, and after the VM has lost its checkpoint', () => {
    expect(column(look({ incrementalEnabled: false, days: 2 }), 'fulls')).toEqual([0, 1, 1]);
    expect(column(look({ activeCheckpointId: null, days: 2 }), 'fulls')).toEqual([0, 1, 0]);
    const [newest = parent(), oldest = full()] = backups;
    expect(column(look({ backups: [{ ...newest, assurance: 'unproven' }, oldest], days: 2 }), 'fulls')).toEqual([0, 1, 0]);
  });

  it('begins a chain where the policy has set a day for it, however short the last is', () => {
    // NOW is a Sunday, and the last full of a Thursday.
    const rule = (weekday: Weekday | null, everyDays: number | null) => ({ weekday, everyDays, zone: 'UTC' });
    const fulls = (fullRule: SimulationInput['fullRule']): number[] =>
      column(look({ fullRule, fullEvery: 99, days: 9 }), 'fulls');
    expect(fulls(rule(null, null))).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(fulls(rule('tue', null))).toEqual([0, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    expect(fulls(rule(null, 5))).toEqual([0, 0, 1, 0, 0, 0, 0, 1, 0, 0]);
  });

  it('what is protected stays until its day has come', () => {
    const protections = [{ backup: 'one', until: NOW + 4 * DAY, by: 'ops', why: 'court' }];
    const days = look({ protections, days: 5 });
    expect(column(days, 'points')).toEqual([2, 3, 3, 3, 2, 2]);
  });

  it('expects what those before it had; what nobody knows is null, and counts as nothing', () => {
    const [newest = parent(), oldest = full()] = backups;
    expect(expectedSizes([...backups, { ...newest, size: 21 }, { ...newest, size: null }])).toEqual({
      FULL: 100,
      INCREMENTAL: 16,
    });
    expect(expectedSizes([oldest])).toEqual({ FULL: 100, INCREMENTAL: null });
    const many = Array.from({ length: 20 }, () => ({ ...newest, size: 1 }));
    expect(expectedSizes([...many, newest]).INCREMENTAL).toBe(1);
    expect(column(look({ backups: [], activeCheckpointId: null, days: 3 }), 'bytes')).toEqual([0, 0, 0, 0]);
  });

  it('adds up, over a year', () => {
    const policy = { ...NO_COUNTS, keepDaily: 7, keepWeekly: 4, keepMonthly: 12 };
    const days = look({ policy, days: 365 });
    days.slice(1).forEach(({ bytes, bytesWritten, bytesFreed }, index) => {
      expect(bytes).toBe((days[index]?.bytes ?? 0) + bytesWritten - bytesFreed);
    });
    expect(days.at(-1)?.points).toBe(22);
    expect(days.at(-1)?.longestGap).toBeGreaterThan(27 * DAY);
  });
});
