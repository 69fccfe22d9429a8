import { openSpan } from './open-span';
import { readStartRules } from './read-start-rules';
import type { StartRules } from './start-rules';

const rules = (windows: readonly string[], blackouts: readonly string[] = []): StartRules =>
  readStartRules({ ...{ owner: 'x', zone: 'Europe/Berlin', windows, blackouts, atEnd: 'stop' } }) as StartRules;

describe('openSpan', () => {
  it('passes over a window that lies in the hour that is skipped', () => {
    expect(openSpan(rules(['02:15-02:45']), new Date('2027-03-27T12:00:00Z'), 60)).toEqual({
      ...{ from: new Date('2027-03-29T00:15:00Z'), to: new Date('2027-03-29T00:45:00Z') },
    });
  });

  it('looks no further than it is told', () => {
    const weekly = rules(['fri 10:00-11:00']);
    const monday = new Date('2026-11-30T09:00:00Z');
    expect(openSpan(weekly, monday, 3)).toBeNull();
    expect(openSpan(weekly, monday, 4)).toEqual({ from: new Date('2026-12-04T09:00:00Z'), to: new Date('2026-12-04T10:00:00Z') });
  });
});
