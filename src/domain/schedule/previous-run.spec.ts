import { previousRun } from './previous-run';
import { readRecurrence } from './read-recurrence';
import type { Recurrence } from './recurrence';

const before = (cron: string, at: string, zone = 'UTC'): string | undefined =>
  previousRun(readRecurrence({ cron }) as Recurrence, zone, new Date(at))?.toISOString();

describe('previousRun', () => {
  it.each([
    ['* * * * *', '2026-11-29T12:34:56Z', '2026-11-29T12:34:00.000Z'],
    ['30 2 * * *', '2026-11-29T02:30:00Z', '2026-11-29T02:30:00.000Z'],
    ['30 2 * * *', '2026-11-29T02:29:59Z', '2026-11-28T02:30:00.000Z'],
    ['0 0 1 1 *', '2026-11-29T00:00:00Z', '2026-01-01T00:00:00.000Z'],
    ['0 0 29 2 *', '2026-11-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['0,30 * * * *', '2026-11-29T12:15:00Z', '2026-11-29T12:00:00.000Z'],
  ])('%s, at %s', (cron, at, found) => expect(before(cron, at)).toBe(found));

  it('goes by the clocks of the zone', () => {
    expect(before('30 2 * * *', '2026-11-29T12:00:00Z', 'Asia/Kathmandu')).toBe('2026-11-28T20:45:00.000Z');
  });
});
