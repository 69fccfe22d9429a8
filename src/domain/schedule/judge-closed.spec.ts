import { type ClosedRun, judgeClosed } from './judge-closed';
import { readStartRules, type StartWish } from './read-start-rules';
import type { StartRules } from './start-rules';

const at = (text: string): Date => new Date(`2026-11-${text}:00Z`);
const rules = (wish: Partial<StartWish> = {}): StartRules =>
  readStartRules({
    ...{ owner: 'offering daily', zone: 'UTC', windows: ['22:00-06:00'], blackouts: [], atEnd: 'finish', ...wish },
  }) as StartRules;
const judge = (different: Partial<ClosedRun>): ReturnType<typeof judgeClosed> =>
  judgeClosed({
    ...{ rules: [rules()], now: at('29T06:00'), queuedAt: at('28T22:00'), notBefore: null, closedAt: at('29T06:00') },
    ...{ policy: 'run-once', graceSeconds: 3600, ...different },
  });

describe('judgeClosed', () => {
  it('puts a run off until the next window opens, and says so', () => {
    expect(judge({ rules: [rules({ atEnd: 'stop' })] })).toEqual({
      ...{ act: 'wait', notBefore: at('29T22:00'), startUntil: at('30T06:00'), stopAt: at('30T06:00') },
      because: {
        code: 'outside-window',
        sentence:
          'Its window closed at 2026-11-29T06:00:00Z before it could start. ' +
          'It waits until 2026-11-29T22:00Z: offering daily lets backups start 22:00-06:00 (UTC).',
      },
    });
    expect(judge({ rules: [rules({ windows: [], blackouts: ['2026-11-29'] })] })).toMatchObject({
      ...{ act: 'wait', notBefore: at('30T00:00'), because: { code: 'blackout' } },
    });
  });

  it('leaves it out where its policy skips what is missed by then, and only there', () => {
    expect(judge({ policy: 'skip' })).toMatchObject({ act: 'skip', code: 'missed' });
    expect(judge({ policy: 'skip', graceSeconds: 24 * 3600 })).toMatchObject({ act: 'wait', notBefore: at('29T22:00') });
    expect(judge({ policy: 'skip', rules: [] })).toMatchObject({ act: 'wait', notBefore: null, startUntil: null });
    expect(judge({ rules: [rules(), rules({ owner: 'host kvm1', windows: ['10:00-12:00'] })] })).toEqual({
      ...{ act: 'skip', code: 'never-allowed' },
      sentence: 'The windows and blackouts of offering daily and host kvm1 never let it start.',
    });
  });

  it('keeps to the time of the next attempt, and not to that of a window that is another by now', () => {
    const soon = at('29T06:30');
    expect(judge({ rules: [], notBefore: soon })).toMatchObject({ notBefore: soon, startUntil: null, because: null });
    expect(judge({ notBefore: soon })).toMatchObject({ notBefore: at('29T22:00') });
    expect(judge({ rules: [rules({ windows: ['06:15-07:00'] })], notBefore: soon })).toEqual({
      ...{ act: 'wait', notBefore: soon, startUntil: at('29T07:00'), stopAt: null, because: null },
    });
    expect(judge({ rules: [], notBefore: at('29T22:00') })).toMatchObject({ notBefore: null, because: null });
  });

  it('says nothing of what it said before', () => {
    expect(judge({ notBefore: at('29T22:00') })).toMatchObject({ notBefore: at('29T22:00'), because: null });
    expect(judge({ now: at('29T12:00'), notBefore: at('29T22:00'), rules: [rules({ windows: ['23:00-06:00'] })] })).toMatchObject(
      {
        ...{ notBefore: at('29T23:00'), because: { code: 'outside-window' } },
      },
    );
  });
});
