import { type FullRule, fullDueAt } from './full-due-at';

const seconds = (text: string): number => Date.parse(`${text}Z`) / 1000;
const none: FullRule = { weekday: null, everyDays: null, zone: 'Europe/Berlin' };
const due = (rule: Partial<FullRule>, lastFull: string): string | null => {
  const at = fullDueAt({ ...none, ...rule }, seconds(lastFull));
  return at === null ? null : new Date(at * 1000).toISOString().slice(0, 16);
};

describe('fullDueAt', () => {
  it('is never where no rule says so or no full is there to count from', () => {
    expect(due({}, '2026-11-29T12:00')).toBeNull();
    expect(fullDueAt({ ...none, weekday: 'sun', everyDays: 7 }, null)).toBeNull();
  });

  // 29 November 2026 is a Sunday; Berlin is an hour ahead.
  it.each([
    ['in the week', '2026-11-25T12:00', '2026-11-28T23:00'],
    ['late on the day before', '2026-11-28T22:59', '2026-11-28T23:00'],
    ['on the day itself, in the zone', '2026-11-28T23:00', '2026-12-05T23:00'],
    ['on the day itself, late', '2026-11-29T22:59', '2026-12-05T23:00'],
    ['on the day after, in the zone', '2026-11-29T23:00', '2026-12-05T23:00'],
  ])('is the next such day of the week after a full %s', (_, lastFull, at) => {
    expect(due({ weekday: 'sun' }, lastFull)).toBe(at);
  });

  it('counts days as the zone begins them, so that a start that is a minute late puts nothing off', () => {
    expect(due({ everyDays: 7 }, '2026-11-01T01:00')).toBe('2026-11-07T23:00');
    expect(due({ everyDays: 7 }, '2026-11-01T22:59')).toBe('2026-11-07T23:00');
    expect(due({ everyDays: 1 }, '2026-11-01T23:30')).toBe('2026-11-02T23:00');
  });

  it('goes over a change of clocks', () => {
    expect(due({ everyDays: 7 }, '2026-10-21T01:00')).toBe('2026-10-27T23:00');
    expect(due({ everyDays: 1, zone: 'Africa/Cairo' }, '2026-04-23T01:00')).toBe('2026-04-23T22:00');
  });

  it('is the first of both rules', () => {
    expect(due({ weekday: 'sun', everyDays: 2 }, '2026-11-25T12:00')).toBe('2026-11-26T23:00');
    expect(due({ weekday: 'thu', everyDays: 2 }, '2026-11-25T12:00')).toBe('2026-11-25T23:00');
  });
});
