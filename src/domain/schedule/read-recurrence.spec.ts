import { readRecurrence } from './read-recurrence';

describe('readRecurrence, of CloudStack’s notation', () => {
  it.each([
    [0, '0', '0 * * * *', false],
    [0, '59', '59 * * * *', false],
    [1, '30:02', '30 2 * * *', true],
    [1, '00:00', '0 0 * * *', true],
    [1, '5:23', '5 23 * * *', true],
    [2, '30:02:1', '30 2 * * 0', true],
    [2, '30:02:7', '30 2 * * 6', true],
    [3, '15:04:28', '15 4 28 * *', true],
    [3, '15:04:01', '15 4 1 * *', true],
  ])('takes type %i, %s', (type, text, cron, fixed) => {
    expect(readRecurrence({ type, text })).toEqual({ cron, fixed });
  });

  it.each([
    [0, '60', '"60" is no HOURLY schedule: its part 1, the minute, is "60" and goes from 0 to 59.'],
    [0, '15:02', '"15:02" is no HOURLY schedule: it has 2 parts, and MM has 1.'],
    [1, '30', '"30" is no DAILY schedule: it has 1 part, and MM:HH has 2.'],
    [1, '02:30', '"02:30" is no DAILY schedule: its part 2, the hour, is "30" and goes from 0 to 23.'],
    [1, '30:24', '"30:24" is no DAILY schedule: its part 2, the hour, is "24" and goes from 0 to 23.'],
    [1, '30:-1', '"30:-1" is no DAILY schedule: its part 2, the hour, is "-1" and goes from 0 to 23.'],
    [1, ' 30:02', '" 30:02" is no DAILY schedule: its part 1, the minute, is " 30" and goes from 0 to 59.'],
    [1, '', '"" is no DAILY schedule: it has 1 part, and MM:HH has 2.'],
    [2, '0:0:0', '"0:0:0" is no WEEKLY schedule: its part 3, the day of the week, is "0" and goes from 1 to 7.'],
    [2, '0:0:8', '"0:0:8" is no WEEKLY schedule: its part 3, the day of the week, is "8" and goes from 1 to 7.'],
    [3, '0:0:29', '"0:0:29" is no MONTHLY schedule: its part 3, the day of the month, is "29" and goes from 1 to 28.'],
    [3, '0:0:0', '"0:0:0" is no MONTHLY schedule: its part 3, the day of the month, is "0" and goes from 1 to 28.'],
    [3, '0:0:1:2', '"0:0:1:2" is no MONTHLY schedule: it has 4 parts, and MM:HH:D has 3.'],
    [4, '0', 'There is no type of schedule 4.'],
    [-1, '0', 'There is no type of schedule -1.'],
    [1.5, '0', 'There is no type of schedule 1.5.'],
  ])('refuses type %i, %j', (type, text, message) => {
    expect(readRecurrence({ type, text })).toMatchObject({ code: 'schedule.bad-time', errorKind: 'invalid', message });
  });

  it('says how to write it', () => {
    expect(readRecurrence({ type: 2, text: 'x' })).toMatchObject({
      next: 'Write it as MM:HH:D, such as 30:02:1 for half past two on Sundays.',
    });
    expect(readRecurrence({ type: 9, text: 'x' })).toMatchObject({
      next: 'Types are 0 (HOURLY), 1 (DAILY), 2 (WEEKLY), 3 (MONTHLY).',
    });
  });
});

describe('readRecurrence, of cron', () => {
  it.each([
    ['30 2 * * *', true],
    ['0,30 2,14 * * mon-fri', true],
    ['15 1-5 * * *', true],
    ['0 0 L * *', true],
    ['0 0 15W jan,JUL *', true],
    ['0 0 29 2 *', true],
    ['0 22 * * 5#2', true],
    ['0 22 * * 7', true],
    ['*/15 * * * *', false],
    ['0 */6 * * *', false],
    ['*/30 2 * * *', false],
    ['0-30/10 2 * * *', false],
    ['? 2 * * *', false],
  ])('takes %s', (cron, fixed) => {
    expect(readRecurrence({ cron })).toEqual({ cron, fixed });
  });

  it('does not mind how many spaces there are', () => {
    expect(readRecurrence({ cron: '  0\t2  * * *\n' })).toEqual({ cron: '0 2 * * *', fixed: true });
  });

  it.each([
    ['', '"" is no cron pattern: it has 0 parts.'],
    ['@daily', '"@daily" is no cron pattern: it has 1 part.'],
    ['0 0 2 * * *', '"0 0 2 * * *" is no cron pattern: it has 6 parts.'],
    ['0 0 2 * * * 2027', '"0 0 2 * * * 2027" is no cron pattern: it has 7 parts.'],
    ['2026-12-01T00:00:00', '"2026-12-01T00:00:00" is no cron pattern: it has 1 part.'],
    ['60 2 * * *', '"60 2 * * *" is no cron pattern: its part 1, the minute, is "60".'],
    ['0 24 * * *', '"0 24 * * *" is no cron pattern: its part 2, the hour, is "24".'],
    ['0 2:30 * * *', '"0 2:30 * * *" is no cron pattern: its part 2, the hour, is "2:30".'],
    ['0 0 32 * *', '"0 0 32 * *" is no cron pattern: its part 3, the day of the month, is "32".'],
    ['0 0 0 * *', '"0 0 0 * *" is no cron pattern: its part 3, the day of the month, is "0".'],
    ['0 0 * 13 *', '"0 0 * 13 *" is no cron pattern: its part 4, the month, is "13".'],
    ['0 0 * * 8', '"0 0 * * 8" is no cron pattern: its part 5, the day of the week, is "8".'],
    ['0 0 * * funday', '"0 0 * * funday" is no cron pattern: its part 5, the day of the week, is "funday".'],
    ['H 2 * * *', '"H 2 * * *" is no cron pattern: its part 1, the minute, is "H".'],
    ['*/0 * * * *', '"*/0 * * * *" is no cron pattern: its part 1, the minute, is "*/0".'],
    ['30-10 * * * *', '"30-10 * * * *" is no cron pattern: its part 1, the minute, is "30-10".'],
    ['a b c d e', '"a b c d e" is no cron pattern: its part 1, the minute, is "a".'],
    ['constructor 2 * * *', '"constructor 2 * * *" is no cron pattern: its part 1, the minute, is "constructor".'],
  ])('refuses %j', (cron, message) => {
    expect(readRecurrence({ cron })).toMatchObject({ code: 'schedule.bad-cron', errorKind: 'invalid', message });
  });

  it('says how to write it', () => {
    expect(readRecurrence({ cron: '0 0 2 * * *' })).toMatchObject({
      next: 'Write five: minute, hour, day of the month, month, day of the week. There are no seconds.',
    });
    expect(readRecurrence({ cron: '60 2 * * *' })).toMatchObject({
      next: 'It takes numbers from 0 to 59, as in 0, 0,30, 10-20 or */15.',
    });
  });

  it.each(['0 0 30 2 *', '0 0 31 2 *', '0 0 31 4,6,9,11 *', '0 0 30-31 2 *'])('refuses what never comes: %s', (cron) => {
    expect(readRecurrence({ cron })).toMatchObject({
      ...{ code: 'schedule.never', errorKind: 'invalid', message: `"${cron}" names a day that never comes.` },
    });
  });
});
