import { readStartRules, type StartWish } from './read-start-rules';
import type { StartRules } from './start-rules';
import { whenMayStart } from './when-may-start';

const rules = (wish: Partial<StartWish>): StartRules =>
  readStartRules({
    ...{ owner: 'offering daily', zone: 'Europe/Berlin', windows: [], blackouts: [], atEnd: 'finish', ...wish },
  }) as StartRules;
const at = (text: string): Date => new Date(`${text}Z`);
const show = (date: Date | null | undefined): string | null => date?.toISOString().slice(0, 16) ?? null;
/** When it may start and when it is stopped, as texts. */
function ask(from: string, ...all: Partial<StartWish>[]): [string | null, string | null] {
  const start = whenMayStart(all.map(rules), at(from));
  return [show(start?.at), show(start?.stopAt)];
}

describe('whenMayStart', () => {
  it('is at once where nobody minds', () => {
    expect(whenMayStart([], at('2026-11-29T12:00'))).toEqual({
      at: at('2026-11-29T12:00'),
      because: null,
      startUntil: null,
      stopAt: null,
    });
    expect(ask('2026-11-29T12:00', {})).toEqual(['2026-11-29T12:00', null]);
  });

  // Berlin is an hour ahead of UTC in winter.
  it.each([
    ['within, before midnight', '2026-11-29T22:30', '2026-11-29T22:30', '2026-11-30T05:00'],
    ['within, after midnight', '2026-11-29T03:00', '2026-11-29T03:00', '2026-11-29T05:00'],
    ['as it opens', '2026-11-29T21:00', '2026-11-29T21:00', '2026-11-30T05:00'],
    ['a moment before it closes', '2026-11-29T04:59', '2026-11-29T04:59', '2026-11-29T05:00'],
    ['as it closes', '2026-11-29T05:00', '2026-11-29T21:00', '2026-11-30T05:00'],
    ['outside', '2026-11-29T12:00', '2026-11-29T21:00', '2026-11-30T05:00'],
  ])('goes by a window over midnight: %s', (_, from, start, stop) => {
    expect(ask(from, { windows: ['22:00-06:00'], atEnd: 'stop' })).toEqual([start, stop]);
    expect(ask(from, { windows: ['22:00-06:00'] })).toEqual([start, null]);
  });

  it('says until when, whether what goes on is stopped then or not', () => {
    const until = (from: string, ...all: Partial<StartWish>[]): string | null =>
      show(whenMayStart(all.map(rules), at(from))?.startUntil);
    expect(until('2026-11-29T12:00', {})).toBeNull();
    expect(until('2026-11-29T22:30', { windows: ['22:00-06:00'] })).toBe('2026-11-30T05:00');
    expect(until('2026-11-29T12:00', { windows: ['22:00-06:00'] }, { windows: ['20:00-02:00'] })).toBe('2026-11-30T01:00');
    expect(until('2026-12-23T12:00', { blackouts: ['2026-12-24'] })).toBe('2026-12-23T23:00');
    // Nobody looks ahead for longer: it is asked again.
    expect(until('2026-11-29T12:00', { blackouts: ['2026-12-24'] })).toBe('2026-12-06T12:00');
  });

  it('has the night after a day belong to that day', () => {
    const windows = ['fri 22:00-06:00'];
    expect(ask('2026-11-28T02:00', { windows, atEnd: 'stop' })).toEqual(['2026-11-28T02:00', '2026-11-28T05:00']);
    expect(ask('2026-11-27T02:00', { windows })).toEqual(['2026-11-27T21:00', null]);
    expect(ask('2026-11-28T22:00', { windows })).toEqual(['2026-12-04T21:00', null]);
  });

  it('takes windows that touch or overlap for one', () => {
    const weekend = { windows: ['sat,sun 00:00-24:00', 'fri 22:00-24:00', 'sun 20:00-02:00'], atEnd: 'stop' as const };
    expect(ask('2026-11-27T21:30', weekend)).toEqual(['2026-11-27T21:30', '2026-11-30T01:00']);
    expect(ask('2026-11-30T01:00', weekend)).toEqual(['2026-12-04T21:00', '2026-12-07T01:00']);
  });

  it('does not stop what never closes', () => {
    expect(ask('2026-11-29T12:00', { windows: ['00:00-24:00'], atEnd: 'stop' })).toEqual(['2026-11-29T12:00', null]);
    expect(ask('2026-11-29T12:00', { windows: ['12:00-11:59', '11:00-13:00'], atEnd: 'stop' })).toEqual([
      '2026-11-29T12:00',
      null,
    ]);
    expect(ask('2026-11-29T12:00', { atEnd: 'stop' })).toEqual(['2026-11-29T12:00', null]);
  });

  it('leaves out dark days, and stops as they begin', () => {
    const xmas = { blackouts: ['2026-12-24..2026-12-26'], atEnd: 'stop' as const };
    expect(ask('2026-12-23T12:00', xmas)).toEqual(['2026-12-23T12:00', '2026-12-23T23:00']);
    expect(ask('2026-12-23T23:00', xmas)).toEqual(['2026-12-26T23:00', null]);
    expect(ask('2026-12-25T12:00', xmas)).toEqual(['2026-12-26T23:00', null]);
    const nights = { ...xmas, windows: ['22:00-06:00'] };
    expect(ask('2026-12-23T12:00', nights)).toEqual(['2026-12-23T21:00', '2026-12-23T23:00']);
    expect(ask('2026-12-24T01:00', nights)).toEqual(['2026-12-26T23:00', '2026-12-27T05:00']);
    expect(
      ask('2026-12-25T12:00', { ...nights, blackouts: [...xmas.blackouts, '2026-12-27', '2026-12-20..2026-12-25'] }),
    ).toEqual([...['2026-12-27T23:00', '2026-12-28T05:00']]);
  });

  it('waits until all let it, and stops at the first that closes', () => {
    const offering = { windows: ['20:00-02:00'], atEnd: 'stop' as const };
    const host = { owner: 'host kvm-3', zone: 'UTC', windows: ['sat,sun 22:00-23:00'], atEnd: 'stop' as const };
    expect(ask('2026-11-27T12:00', offering, host)).toEqual(['2026-11-28T22:00', '2026-11-28T23:00']);
    expect(ask('2026-11-27T12:00', host, offering)).toEqual(['2026-11-28T22:00', '2026-11-28T23:00']);
    expect(ask('2026-11-27T12:00', { ...offering, atEnd: 'finish' }, { ...host, windows: ['22:00-04:00'] })).toEqual([
      ...['2026-11-27T22:00', '2026-11-28T04:00'],
    ]);
  });

  it('is never where windows never meet or the dark has no end', () => {
    expect(ask('2026-11-29T12:00', { windows: ['08:00-10:00'] }, { windows: ['22:00-06:00'] })).toEqual([null, null]);
    expect(ask('2026-11-29T12:00', { blackouts: ['2026-01-01..9999-12-31'] })).toEqual([null, null]);
    expect(ask('2026-11-29T12:00', { blackouts: ['2026-01-01..2027-01-28'] })).toEqual([null, null]);
    expect(ask('2026-11-29T12:00', { blackouts: ['2026-01-01..2027-01-27'] })).toEqual(['2027-01-27T23:00', null]);
  });

  it('says what it waits for, and for whom', () => {
    const because = (from: string, wish: Partial<StartWish>): unknown => whenMayStart([rules(wish)], at(from))?.because;
    expect(because('2026-11-29T12:00', { windows: ['22:00-06:00', 'sun 20:00-21:00'] })).toEqual({
      code: 'outside-window',
      sentence:
        'It waits until 2026-11-29T19:00Z: offering daily lets backups start 22:00-06:00 and sun 20:00-21:00 (Europe/Berlin).',
    });
    expect(because('2026-12-23T23:00', { blackouts: ['2026-12-24..2026-12-26'] })).toEqual({
      code: 'blackout',
      sentence: 'It waits until 2026-12-26T23:00Z: offering daily has no backups on 2026-12-24..2026-12-26 (Europe/Berlin).',
    });
  });

  it('opens and closes when clocks first show it', () => {
    const stop = { atEnd: 'stop' as const };
    // Skipped: the window opens at the end of the gap, and one that lies in it does not open.
    expect(ask('2027-03-27T12:00', { windows: ['02:30-04:00'], ...stop })).toEqual(['2027-03-28T01:00', '2027-03-28T02:00']);
    expect(ask('2027-03-27T12:00', { windows: ['02:15-02:45'], ...stop })).toEqual(['2027-03-29T00:15', '2027-03-29T00:45']);
    // Twice: it closes the first time.
    expect(ask('2026-10-24T12:00', { windows: ['01:00-02:30'], ...stop })).toEqual(['2026-10-24T23:00', '2026-10-25T00:30']);
    expect(ask('2026-10-24T12:00', { windows: ['02:00-03:00'], ...stop })).toEqual(['2026-10-25T00:00', '2026-10-25T02:00']);
    // There was no 30 December 2011: the night of the 29th goes on in the morning of the 31st.
    expect(ask('2011-12-30T09:00', { zone: 'Pacific/Apia', windows: ['22:00-06:00'], ...stop })).toEqual([
      ...['2011-12-30T09:00', '2011-12-30T16:00'],
    ]);
  });
});
