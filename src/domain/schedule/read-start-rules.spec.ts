import { readBlackout } from './read-blackout';
import { readStartRules } from './read-start-rules';
import { readWindow } from './read-window';
import { WEEKDAYS } from './weekdays';

describe('readWindow', () => {
  it.each([
    ['22:00-06:00', WEEKDAYS, 1320, 1800],
    ['08:00-17:30', WEEKDAYS, 480, 1050],
    ['00:00-24:00', WEEKDAYS, 0, 1440],
    ['22:00-00:00', WEEKDAYS, 1320, 1440],
    ['22:00-24:00', WEEKDAYS, 1320, 1440],
    ['sat,sun 00:00-24:00', ['sun', 'sat'], 0, 1440],
    ['Mon-Fri  20:00-05:30', ['mon', 'tue', 'wed', 'thu', 'fri'], 1200, 1770],
    ['fri-mon 10:00-11:00', ['sun', 'mon', 'fri', 'sat'], 600, 660],
    ['mon-tue,tue,thu 10:00-11:00', ['mon', 'tue', 'thu'], 600, 660],
    [' wed-wed 10:00-11:00 ', ['wed'], 600, 660],
  ])('takes %j', (text, days, from, to) => {
    expect(readWindow(text)).toEqual({ text: text.trim(), days, from, to });
  });

  it.each([
    ['', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['22-6', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['22:00', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['22:00-06:60', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['22:00-24:01', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['2:00-6:00', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['22:00-06:00-07:00', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['sat', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['sat 22:00', 'the time is not HH:MM-HH:MM, from 00:00 to 24:00'],
    ['22:00-22:00', 'it opens at no time of a day, or never closes'],
    ['24:00-06:00', 'it opens at no time of a day, or never closes'],
    ['caturday 10:00-11:00', 'the days before the time are not a list such as sat,sun or mon-fri'],
    ['sat, sun 10:00-11:00', 'the days before the time are not a list such as sat,sun or mon-fri'],
    ['mon- 10:00-11:00', 'the days before the time are not a list such as sat,sun or mon-fri'],
    ['mon-tue-wed 10:00-11:00', 'the days before the time are not a list such as sat,sun or mon-fri'],
    ['10:00-11:00 sat', 'the days before the time are not a list such as sat,sun or mon-fri'],
    ['constructor 10:00-11:00', 'the days before the time are not a list such as sat,sun or mon-fri'],
  ])('refuses %j', (text, why) => {
    expect(readWindow(text)).toMatchObject({
      ...{ code: 'schedule.bad-window', errorKind: 'invalid', message: `${JSON.stringify(text)} is no window: ${why}.` },
    });
  });
});

describe('readBlackout', () => {
  it.each([
    ['2026-12-24..2026-12-26', '2026-12-24', '2026-12-26'],
    ['2026-12-24', '2026-12-24', '2026-12-24'],
    [' 2028-02-29..2028-02-29 ', '2028-02-29', '2028-02-29'],
  ])('takes %j', (text, from, to) => {
    expect(readBlackout(text)).toEqual({ text: text.trim(), from, to });
  });

  it.each([
    ['', '"" is no day'],
    ['2026-12-24..', '"" is no day'],
    ['2027-02-29', '"2027-02-29" is no day'],
    ['2026-12-24..2026-13-01', '"2026-13-01" is no day'],
    ['24.12.2026', '"24.12.2026" is no day'],
    ['2026-12-26..2026-12-24', 'it ends before it begins'],
    ['2026-12-24..2026-12-25..2026-12-26', 'it is not one day or two with .. between them'],
  ])('refuses %j', (text, why) => {
    expect(readBlackout(text)).toMatchObject({
      ...{ code: 'schedule.bad-blackout', errorKind: 'invalid' },
      message: `${JSON.stringify(text)} names no days without backups: ${why}.`,
    });
  });
});

describe('readStartRules', () => {
  const wish = {
    owner: 'offering daily',
    zone: 'UTC',
    windows: ['22:00-06:00'],
    blackouts: ['2026-12-24'],
    atEnd: 'stop' as const,
  };

  it('takes all that was said', () => {
    expect(readStartRules(wish)).toEqual({
      ...wish,
      windows: [{ text: '22:00-06:00', days: WEEKDAYS, from: 1320, to: 1800 }],
      blackouts: [{ text: '2026-12-24', from: '2026-12-24', to: '2026-12-24' }],
    });
  });

  it.each([
    [{ zone: 'Nowhere' }, 'schedule.unknown-zone'],
    [{ windows: ['22:00-06:00', 'x'] }, 'schedule.bad-window'],
    [{ blackouts: ['2026-12-24', 'x'] }, 'schedule.bad-blackout'],
  ])('refuses %j', (part, code) => {
    expect(readStartRules({ ...wish, ...part })).toMatchObject({ kind: 'refused', code });
  });
});
