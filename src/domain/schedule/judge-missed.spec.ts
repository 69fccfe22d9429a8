import { type DueBackup, judgeMissed } from './judge-missed';

const due: DueBackup = {
  dueAt: new Date('2026-11-29T02:00:00Z'),
  now: new Date('2026-11-29T02:00:00Z'),
  passed: 0,
  policy: 'skip',
  graceSeconds: 600,
};
const late = (seconds: number): Date => new Date(due.dueAt.getTime() + seconds * 1000);

describe('judgeMissed', () => {
  it.each([0, 1, 599, 600, 600.999])('runs what is late within its grace, whatever the policy: %d s', (seconds) => {
    for (const policy of ['skip', 'run-once'] as const)
      expect(judgeMissed({ ...due, policy, now: late(seconds) })).toMatchObject({ run: true, code: 'on-time' });
  });

  it.each([601, 3600, 86_400 * 30])('goes by the policy from then on: %d s', (seconds) => {
    expect(judgeMissed({ ...due, policy: 'skip', now: late(seconds) })).toMatchObject({ run: false, code: 'missed' });
    expect(judgeMissed({ ...due, policy: 'run-once', now: late(seconds) })).toMatchObject({ run: true, code: 'catch-up' });
  });

  it('takes a clock that was put back for no delay', () => {
    expect(judgeMissed({ ...due, graceSeconds: 0, now: late(-3600) })).toMatchObject({ run: true, code: 'on-time' });
  });

  it.each<[Partial<DueBackup>, string]>([
    [{ now: late(-5) }, 'It was due at 2026-11-29T02:00:00Z and is 0 s late, within its grace of 10 min.'],
    [{}, 'It was due at 2026-11-29T02:00:00Z and is 0 s late, within its grace of 10 min.'],
    [
      { now: late(61), passed: 1 },
      'It was due at 2026-11-29T02:00:00Z and is 1 min 1 s late, within its grace of 10 min, and one more has passed.',
    ],
    [
      { now: late(97_265), passed: 27 },
      'It was due at 2026-11-29T02:00:00Z and is 1 d 3 h late, longer than its grace of 10 min, and 27 more have passed: its policy skips what was missed.',
    ],
    [
      { now: late(7500), policy: 'run-once' },
      'It was due at 2026-11-29T02:00:00Z and is 2 h 5 min late, longer than its grace of 10 min: its policy runs once for all that was missed.',
    ],
  ])('says why: %j', (part, sentence) => {
    expect(judgeMissed({ ...due, ...part }).sentence).toBe(sentence);
  });
});
