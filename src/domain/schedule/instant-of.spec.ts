import { instantOf } from './instant-of';

const at = (wall: string, zone: string): string =>
  instantOf(new Date(`${wall}Z`), zone)
    .toISOString()
    .slice(0, 16);

describe('instantOf', () => {
  it.each([
    ['2026-11-29T12:00', 'UTC', '2026-11-29T12:00'],
    ['2026-11-29T12:00', 'Europe/Berlin', '2026-11-29T11:00'],
    ['2026-07-01T12:00', 'Europe/Berlin', '2026-07-01T10:00'],
    ['2026-11-29T12:00', 'Asia/Kathmandu', '2026-11-29T06:15'],
    ['2026-11-29T12:00', 'Pacific/Kiritimati', '2026-11-28T22:00'],
    ['2026-11-29T12:00', 'Pacific/Pago_Pago', '2026-11-29T23:00'],
    ['2026-10-25T02:30', 'Europe/Berlin', '2026-10-25T00:30'],
    ['2026-10-25T03:00', 'Europe/Berlin', '2026-10-25T02:00'],
    ['2027-03-28T01:59', 'Europe/Berlin', '2027-03-28T00:59'],
    ['2027-03-28T02:00', 'Europe/Berlin', '2027-03-28T01:00'],
    ['2027-03-28T02:30', 'Europe/Berlin', '2027-03-28T01:00'],
    ['2027-03-28T03:00', 'Europe/Berlin', '2027-03-28T01:00'],
    ['2026-10-04T02:15', 'Australia/Lord_Howe', '2026-10-03T15:30'],
    ['2026-04-05T01:45', 'Australia/Lord_Howe', '2026-04-04T14:45'],
    ['2011-12-30T12:00', 'Pacific/Apia', '2011-12-30T10:00'],
    ['2011-12-31T00:00', 'Pacific/Apia', '2011-12-30T10:00'],
    ['2011-12-29T23:59', 'Pacific/Apia', '2011-12-30T09:59'],
  ])('finds when clocks first show %s in %s', (wall, zone, moment) => {
    expect(at(wall, zone)).toBe(moment);
  });
});
