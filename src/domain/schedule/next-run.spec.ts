import { nextRun } from './next-run';
import { readRecurrence } from './read-recurrence';
import type { Recurrence } from './recurrence';

const cron = (text: string): Recurrence => readRecurrence({ cron: text }) as Recurrence;
const daily = (text: string): Recurrence => readRecurrence({ type: 1, text }) as Recurrence;

/** The next few, as texts in UTC. */
function runs(recurrence: Recurrence, zone: string, after: string, count: number): string[] {
  const found: string[] = [];
  for (let at: Date | null = new Date(after); found.length < count; found.push(at.toISOString().slice(0, 16))) {
    at = nextRun(recurrence, zone, at);
    if (at === null) break;
  }
  return found;
}

describe('nextRun', () => {
  it.each([
    ['2026-11-29T02:29:59.999Z', '2026-11-29T02:30'],
    ['2026-11-29T02:30:00.000Z', '2026-11-30T02:30'],
    ['2026-11-29T02:30:00.001Z', '2026-11-30T02:30'],
    ['2026-11-29T02:29:00Z', '2026-11-29T02:30'],
    ['2026-12-31T23:59:59Z', '2027-01-01T02:30'],
  ])('is strictly later than %s', (after, next) => {
    expect(runs(daily('30:02'), 'UTC', after, 1)).toEqual([next]);
  });

  it('goes by the clocks of its zone', () => {
    expect(runs(daily('30:02'), 'Asia/Kathmandu', '2026-11-29T00:00:00Z', 2)).toEqual(['2026-11-29T20:45', '2026-11-30T20:45']);
    expect(runs(readRecurrence({ type: 0, text: '0' }) as Recurrence, 'Asia/Kathmandu', '2026-11-29T00:00:00Z', 2)).toEqual([
      ...['2026-11-29T00:15', '2026-11-29T01:15'],
    ]);
  });

  it('counts days of the week as CloudStack does: 1 is Sunday', () => {
    const weekly = (text: string): Recurrence => readRecurrence({ type: 2, text }) as Recurrence;
    expect(runs(weekly('0:0:1'), 'UTC', '2026-11-28T00:00:00Z', 1)).toEqual(['2026-11-29T00:00']);
    expect(runs(weekly('0:0:7'), 'UTC', '2026-11-29T00:00:00Z', 1)).toEqual(['2026-12-05T00:00']);
  });

  it('leaves out months that have no such day', () => {
    expect(runs(cron('0 0 31 * *'), 'UTC', '2026-12-31T12:00:00Z', 4)).toEqual([
      ...['2027-01-31T00:00', '2027-03-31T00:00', '2027-05-31T00:00', '2027-07-31T00:00'],
    ]);
  });

  it('waits for a leap year, and knows that 2100 is none', () => {
    expect(runs(cron('0 0 29 2 *'), 'UTC', '2026-01-01T00:00:00Z', 2)).toEqual(['2028-02-29T00:00', '2032-02-29T00:00']);
    expect(runs(cron('0 0 29 2 *'), 'UTC', '2096-03-01T00:00:00Z', 1)).toEqual(['2104-02-29T00:00']);
    expect(runs(cron('0 0 L 2 *'), 'UTC', '2027-01-01T00:00:00Z', 2)).toEqual(['2027-02-28T00:00', '2028-02-29T00:00']);
  });

  it('is null where there is none', () => {
    expect(nextRun({ cron: '0 0 30 2 *', fixed: true }, 'UTC', new Date(0))).toBeNull();
  });
});

// docs/schedules.md has these as a table.
describe('nextRun, where clocks are put forward', () => {
  const [before, berlin] = ['2027-03-27T12:00:00Z', 'Europe/Berlin'];

  it.each([
    ['a set time in the hour that is skipped, at its end', '30 2 * * *', ['2027-03-28T01:00', '2027-03-29T00:30']],
    ['one of several, the same', '30 2,14 * * *', ['2027-03-27T13:30', '2027-03-28T01:00', '2027-03-28T12:30']],
    ['two set times in it, once', '0,30 2 * * *', ['2027-03-28T01:00', '2027-03-29T00:00']],
    ['one in it and one at its end, once', '0 2,3 * * *', ['2027-03-28T01:00', '2027-03-29T00:00']],
    ['one after it, as ever', '30 3 * * *', ['2027-03-28T01:30', '2027-03-29T01:30']],
  ])('runs %s', (_, pattern, expected) => {
    expect(runs(cron(pattern), berlin, before, expected.length)).toEqual(expected);
  });

  it('goes through the hours that there are', () => {
    expect(runs(cron('15 * * * *'), berlin, '2027-03-27T23:30:00Z', 3)).toEqual([
      ...['2027-03-28T00:15', '2027-03-28T01:15', '2027-03-28T02:15'],
    ]);
    expect(runs(cron('0 */2 * * *'), berlin, '2027-03-27T22:30:00Z', 3)).toEqual([
      ...['2027-03-27T23:00', '2027-03-28T02:00', '2027-03-28T04:00'],
    ]);
  });

  it('leaves out a wildcard’s minutes of an hour that there is not', () => {
    expect(runs(cron('*/30 2 * * *'), berlin, before, 1)).toEqual(['2027-03-29T00:00']);
  });

  it('knows of half an hour, of midnight, and of a whole day', () => {
    // Lord Howe: 02:00 becomes 02:30.
    expect(runs(cron('15 2 * * *'), 'Australia/Lord_Howe', '2026-10-03T12:00:00Z', 1)).toEqual(['2026-10-03T15:30']);
    // Cairo: there is no 00:30 on the day.
    expect(runs(cron('30 0 * * *'), 'Africa/Cairo', '2026-04-23T12:00:00Z', 1)).toEqual(['2026-04-23T22:00']);
    // Nuuk: 23:00 becomes the next day's 00:00, so the day has no moment left for it.
    expect(runs(cron('30 23 * * *'), 'America/Nuuk', '2026-03-28T12:00:00Z', 1)).toEqual(['2026-03-30T00:30']);
    // Samoa had no 30 December 2011.
    expect(runs(cron('0 12 * * *'), 'Pacific/Apia', '2011-12-29T12:00:00Z', 2)).toEqual(['2011-12-29T22:00', '2011-12-30T22:00']);
    expect(runs(cron('0 0 30 12 *'), 'Pacific/Apia', '2011-12-01T00:00:00Z', 1)).toEqual(['2012-12-29T10:00']);
  });
});

describe('nextRun, where clocks are put back', () => {
  const [before, berlin] = ['2026-10-24T12:00:00Z', 'Europe/Berlin'];

  it.each([
    ['a set time that comes twice, the first time', '30 2 * * *', ['2026-10-25T00:30', '2026-10-26T01:30']],
    ['one of several, the same', '30 2,14 * * *', ['2026-10-24T12:30', '2026-10-25T00:30', '2026-10-25T13:30']],
    ['wildcards both times', '*/30 2 * * *', ['2026-10-25T00:00', '2026-10-25T00:30', '2026-10-25T01:00', '2026-10-25T01:30']],
    ['one after it, as ever', '0 3 * * *', ['2026-10-25T02:00', '2026-10-26T02:00']],
  ])('runs %s', (_, pattern, expected) => {
    expect(runs(cron(pattern), berlin, before, expected.length)).toEqual(expected);
  });

  it('goes through both hours', () => {
    expect(runs(cron('15 * * * *'), berlin, '2026-10-24T23:30:00Z', 4)).toEqual([
      ...['2026-10-25T00:15', '2026-10-25T01:15', '2026-10-25T02:15', '2026-10-25T03:15'],
    ]);
  });

  it('does not run a set time again when it is asked within the second hour', () => {
    expect(runs(cron('30 2 * * *'), berlin, '2026-10-25T01:10:00Z', 1)).toEqual(['2026-10-26T01:30']);
  });

  it('knows of half an hour', () => {
    expect(runs(cron('45 1 * * *'), 'Australia/Lord_Howe', '2026-04-04T12:00:00Z', 2)).toEqual([
      '2026-04-04T14:45',
      '2026-04-05T15:15',
    ]);
  });
});
