import { readRecurrence } from '../schedule/read-recurrence';
import { readStartRules } from '../schedule/read-start-rules';
import type { Recurrence } from '../schedule/recurrence';
import type { StartRules } from '../schedule/start-rules';
import { hoursBetween, type Take, takesEvery, takesOf, type TakingSchedule } from './takes-ahead';

const NOW = Date.UTC(2026, 10, 29, 12) / 1000;
const schedule = (cron: string, over: Partial<TakingSchedule> = {}): TakingSchedule => ({
  ...{ id: cron, scheduleId: null, vm: 'a', host: null, zone: 'UTC', jitter: 0, rules: [] },
  recurrence: readRecurrence({ cron }) as Recurrence,
  ...over,
});
const times = (schedules: readonly TakingSchedule[], days: number): string[] =>
  [...takesOf(schedules, NOW, days)].map(({ date }) => new Date(date * 1000).toISOString().slice(5, 16));

describe('takesOf', () => {
  it('has what a cron pattern names, to the last of the days, with jitter and windows', () => {
    expect(times([schedule('0 1,13 * * *')], 1)).toEqual(['11-29T13:00', '11-30T01:00']);
    expect(times([schedule('0 1,13 * * *', { jitter: 120 })], 1)).toEqual(['11-29T13:02', '11-30T01:02']);
    const night = readStartRules({
      ...{ owner: 'offering daily', zone: 'UTC', windows: ['22:00-06:00'], blackouts: [], atEnd: 'finish' },
    }) as StartRules;
    expect(times([schedule('0 1,13 * * *', { rules: [night] })], 1)).toEqual(['11-29T22:00', '11-30T01:00']);
    expect(times([schedule('0 0 1 1 *')], 30)).toEqual([]);
  });

  it('of two schedules at one moment comes one backup, and counts for the first', () => {
    const [hourly, daily] = [schedule('0 * * * *', { scheduleId: 1 }), schedule('0 2 * * *', { scheduleId: 2 })];
    expect([...takesOf([hourly, daily], NOW, 2)].length).toBe(48);
    const of = (takes: Iterable<Take>): (number | null)[] => [...new Set([...takes].map((take) => take.scheduleId))];
    expect([of(takesOf([hourly, daily], NOW, 2)), of(takesOf([daily, hourly], NOW, 2))]).toEqual([[1], [1, 2]]);
  });
});

describe('hoursBetween', () => {
  it('is the mean of each that asks', () => {
    const takes = [...takesOf([schedule('0 1,13 * * *'), schedule('30 2 * * 0')], NOW, 21)];
    expect(hoursBetween(takes, 21)).toEqual([12, 168]);
    expect(hoursBetween(takesEvery([{ every: 86_400, scheduleId: null }], NOW, 1), 1)).toEqual([24]);
    expect(hoursBetween([], 21)).toEqual([]);
  });
});
