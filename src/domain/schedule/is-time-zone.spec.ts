import { checkZone } from './check-zone';
import { isTimeZone } from './is-time-zone';

describe('isTimeZone', () => {
  it.each(['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/Argentina/Buenos_Aires', 'Etc/GMT-2'])('knows %s', (zone) => {
    expect(isTimeZone(zone)).toBe(true);
    expect(checkZone(zone)).toBeNull();
  });

  it.each([
    '',
    ' ',
    'Europe/Berlim',
    'Mars/Olympus',
    '+02:00',
    '-05:00',
    'UTC+2',
    'Europe/Berlin ',
    '../etc/passwd',
    'x'.repeat(1000),
  ])('does not know %j', (zone) => {
    expect(isTimeZone(zone)).toBe(false);
    expect(checkZone(zone)).toMatchObject({ code: 'schedule.unknown-zone', errorKind: 'invalid' });
  });

  it('says what it was and what to write', () => {
    expect(checkZone('CEST+1')).toMatchObject({
      message: '"CEST+1" is no time zone that this service knows.',
      next: 'Name one as IANA has it, such as Europe/Berlin or UTC; an offset such as +02:00 is none.',
    });
  });
});
