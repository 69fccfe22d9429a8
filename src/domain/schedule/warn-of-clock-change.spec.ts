import { readRecurrence } from './read-recurrence';
import type { Recurrence } from './recurrence';
import { warnOfClockChange } from './warn-of-clock-change';

const NOW = new Date('2026-11-29T12:00:00Z');
const warn = (cron: string, zone: string): string | null => warnOfClockChange(readRecurrence({ cron }) as Recurrence, zone, NOW);

describe('warnOfClockChange', () => {
  it('says on which nights a set time is run otherwise, and when', () => {
    expect(warn('30 2 * * *', 'Europe/Berlin')).toBe(
      'On 2027-03-28 the clocks of Europe/Berlin go from 02:00 to 03:00, there is no 02:30: it is run at 03:00. ' +
        'On 2027-10-31 the clocks of Europe/Berlin show 02:30 twice: it is run the first time. ' +
        'A time outside of those hours is met by no change.',
    );
  });

  it('tells of runs that are lost or doubled', () => {
    expect(warn('*/30 2 * * *', 'Europe/Berlin')).toMatch(/there is no 02:00: it is not run on that day\. .* run both times\./);
    expect(warn('30 23 * * *', 'America/Nuuk')).toMatch(/go from 23:00 to 00:00, there is no 23:30: it is not run on that day\./);
  });

  it('knows zones that change at other hours', () => {
    expect(warn('30 0 * * *', 'Africa/Cairo')).toMatch(/On 2027-04-30 .* there is no 00:30: it is run at 01:00\./);
    expect(warn('15 2 * * *', 'Australia/Lord_Howe')).toMatch(/go from 02:00 to 02:30, there is no 02:15: it is run at 02:30\./);
    expect(warn('30 2 * * *', 'Africa/Cairo')).toBeNull();
  });

  it.each([
    ['no clock is changed', '30 2 * * *', 'Asia/Kathmandu'],
    ['no clock is changed', '30 2 * * *', 'UTC'],
    ['the time is outside', '0 3 * * *', 'Europe/Berlin'],
    ['the time is outside', '59 1 * * *', 'Europe/Berlin'],
    ['the day is another', '30 2 * * mon-sat', 'Europe/Berlin'],
    ['the hours are gone through', '30 * * * *', 'Europe/Berlin'],
    ['the hours are gone through', '0 */2 * * *', 'Europe/Berlin'],
  ])('is silent where %s: %s, %s', (_, cron, zone) => {
    expect(warn(cron, zone)).toBeNull();
  });
});
