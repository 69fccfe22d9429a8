import { clockChanges } from './clock-changes';

const show = (date: Date): string => date.toISOString().slice(0, 16);
const changes = (zone: string): string[] =>
  clockChanges(zone, new Date('2026-11-29T12:34:56.789Z'), 366).map(
    ({ at, from, to }) => `${show(at)}: ${show(from)} -> ${show(to)}`,
  );

describe('clockChanges', () => {
  it('finds both of a year, to the minute', () => {
    expect(changes('Europe/Berlin')).toEqual([
      '2027-03-28T01:00: 2027-03-28T02:00 -> 2027-03-28T03:00',
      '2027-10-31T01:00: 2027-10-31T03:00 -> 2027-10-31T02:00',
    ]);
    expect(changes('Australia/Lord_Howe')).toEqual([
      '2027-04-03T15:00: 2027-04-04T02:00 -> 2027-04-04T01:30',
      '2027-10-02T15:30: 2027-10-03T02:00 -> 2027-10-03T02:30',
    ]);
  });

  it('finds none where there is none', () => {
    expect(changes('UTC')).toEqual([]);
    expect(changes('Asia/Kathmandu')).toEqual([]);
  });
});
