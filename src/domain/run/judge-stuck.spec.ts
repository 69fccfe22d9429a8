import { judgeStuck, type StuckFinding, type WatchedRun } from './judge-stuck';

const NOW = new Date('2026-11-29T12:00:00Z');
const ago = (minutes: number): Date => new Date(NOW.getTime() - minutes * 60_000);
const GIB = 1024 ** 3;
const LIMITS = { silentMinutes: 15, queuedHours: 6 };
const QUEUED: WatchedRun = {
  ...{ state: 'queued', queuedAt: ago(10), notBefore: null, startedAt: null, lastProgressAt: null },
  ...{ done: null, total: null, bytesPerSecond: null },
};
const RUNNING: WatchedRun = {
  ...QUEUED,
  ...{ state: 'running', startedAt: ago(9), lastProgressAt: ago(1), done: GIB, total: 10 * GIB },
};
const judge = (run: WatchedRun): StuckFinding | null => judgeStuck(run, LIMITS, NOW);

describe('judgeStuck', () => {
  it('finds nothing where a run does what runs do', () => {
    expect([judge(QUEUED), judge(RUNNING), judge({ ...RUNNING, state: 'unknown' })]).toEqual([null, null, null]);
    expect(judge({ ...RUNNING, startedAt: null, lastProgressAt: null })).toBeNull();
  });

  it('tells of a run that nobody takes, from when on it could begin', () => {
    expect(judge({ ...QUEUED, queuedAt: ago(359) })).toBeNull();
    expect(judge({ ...QUEUED, queuedAt: ago(360) })).toMatchObject({
      code: 'queued-long',
      sentence: 'It could have begun 6 h ago, and still waits.',
    });
    expect(judge({ ...QUEUED, queuedAt: ago(3600), notBefore: ago(359) })).toBeNull();
    expect(judge({ ...QUEUED, queuedAt: ago(3600), notBefore: ago(360) })).toMatchObject({
      sentence: expect.stringContaining('6 h'),
    });
  });

  it('tells of bytes that do not become more', () => {
    expect(judge({ ...RUNNING, lastProgressAt: ago(14) })).toBeNull();
    expect(judge({ ...RUNNING, lastProgressAt: ago(15) })).toMatchObject({
      code: 'no-progress',
      sentence: `For 15 min it made no progress: it stands at ${GIB} of ${10 * GIB} bytes.`,
      next: expect.stringContaining('NAS'),
    });
    expect(judge({ ...RUNNING, total: null, lastProgressAt: ago(200) })?.sentence).toMatch(
      /^For 3 h .* of an unknown number of bytes/,
    );
  });

  it('counts from its start where it never made any, and asks for the host where that does not answer', () => {
    const never = { ...RUNNING, done: null, total: null, lastProgressAt: null };
    expect(judge(never)).toBeNull();
    expect(judge({ ...never, startedAt: ago(20) })?.sentence).toBe('For 20 min it made no progress: not one byte was seen.');
    expect(judge({ ...never, state: 'unknown', startedAt: ago(20) })?.next).toMatch(/host does not answer/);
  });

  it('waits longer for the end of a run whose bytes are all there, and not for ever', () => {
    expect(judge({ ...RUNNING, done: 10 * GIB, lastProgressAt: ago(44) })).toBeNull();
    expect(judge({ ...RUNNING, done: 10 * GIB, lastProgressAt: ago(45) })).toMatchObject({
      code: 'no-progress',
      sentence: `For 45 min it made no progress: all ${10 * GIB} bytes are there, and it does not end.`,
    });
    // A total of nothing says nothing.
    expect(judge({ ...RUNNING, done: 0, total: 0, lastProgressAt: ago(60) })?.code).toBe('no-progress');
  });

  it('tells of a run that takes longer than its size explains', () => {
    // 10 GiB at 10 MiB/s: 17 min; three times that and ten minutes more are 61 min 12 s.
    const slow = { ...RUNNING, bytesPerSecond: 10 * 1024 ** 2 };
    expect(judge({ ...slow, startedAt: ago(61) })).toBeNull();
    expect(judge({ ...slow, startedAt: ago(62) })).toEqual({
      code: 'longer-than-usual',
      sentence: `It has run for 62 min; ${10 * GIB} bytes usually take 17 min.`,
      next: expect.stringContaining('busy'),
    });
    expect(judge({ ...slow, startedAt: ago(62), total: null, done: null, lastProgressAt: ago(1) })).toBeNull();
    expect(judge({ ...slow, startedAt: ago(62), bytesPerSecond: 0 })).toBeNull();
    expect(judge({ ...slow, startedAt: ago(62), bytesPerSecond: null })).toBeNull();
  });
});
