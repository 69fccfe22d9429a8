import { type Period, periodOf } from './period-of';

const at = (text: string): number => Date.parse(text) / 1000;

describe('periodOf', () => {
  it.each([
    ['2021-01-01T12:00:00Z', '2020-W53'],
    ['2021-01-03T23:59:59Z', '2020-W53'],
    ['2021-01-04T00:00:00Z', '2021-W01'],
    ['2019-12-30T00:00:00Z', '2020-W01'],
    ['2026-11-29T00:00:00Z', '2026-W48'],
    ['2024-02-29T00:00:00Z', '2024-W09'],
    ['1970-01-01T00:00:00Z', '1970-W01'],
  ])('names ISO 8601’s week: %s is in %s', (moment, week) => {
    expect(periodOf('week', at(moment), 'UTC')).toBe(week);
  });

  it.each<[Period, string]>([
    ['hour', '2026-11-30T08 32400'],
    ['day', '2026-11-30'],
    ['week', '2026-W49'],
    ['month', '2026-11'],
    ['year', '2026'],
  ])('goes by the clock of its zone: %s', (period, name) => {
    expect(periodOf(period, at('2026-11-29T23:00:00Z'), 'Asia/Tokyo')).toBe(name);
  });

  it('tells the two hours apart that one clock shows alike when it is put back', () => {
    const [before, after] = [at('2026-10-25T00:30:00Z'), at('2026-10-25T01:30:00Z')];
    expect(periodOf('hour', before, 'Europe/Berlin')).not.toBe(periodOf('hour', after, 'Europe/Berlin'));
    expect(periodOf('day', before, 'Europe/Berlin')).toBe(periodOf('day', after, 'Europe/Berlin'));
    expect(periodOf('hour', at('2026-11-29T23:00:00Z'), 'UTC')).toBe(periodOf('hour', at('2026-11-29T23:59:59Z'), 'UTC'));
  });
});
