import { pickRuns, type QueuedRun, type RunLimits, type RunningRun, type RunQueue } from './pick-runs';

const NAS = { repository: 'nas', zone: 'z', expects: 'incremental' } as const;
const NOW = new Date('2026-11-29T12:00:00Z');
const ago = (minutes: number): Date => new Date(NOW.getTime() - minutes * 60_000);
const NO_LIMITS: RunLimits = {
  ...{ perHost: Infinity, perRepository: Infinity, perZone: Infinity, whole: Infinity, here: Infinity, fullShare: 1 },
};

let vmId = 0;
/** A run of a VM of its own. */
function queued(id: string, different: Partial<QueuedRun> = {}): QueuedRun {
  vmId += 1;
  return {
    ...{ id, vmId, host: 'h', repository: 'nas', zone: 'z', expects: 'incremental', askedBy: 'schedule' },
    ...{ queuedAt: ago(10), attempt: 0, notBefore: null, startUntil: null, ...different },
  };
}
function running(different: Partial<RunningRun> = {}): RunningRun {
  vmId += 1;
  return { vmId, host: 'h', repository: 'nas', zone: 'z', expects: 'incremental', here: true, ...different };
}
const many = (id: string, count: number, different: Partial<QueuedRun> = {}): QueuedRun[] =>
  Array.from({ length: count }, (_, index) => queued(`${id}${index}`, different));
function pick(runs: readonly QueuedRun[], limits: Partial<RunLimits>, more: Partial<RunQueue> = {}): ReturnType<typeof pickRuns> {
  const maintenance = { hosts: new Set<string>(), repositories: new Set<string>() };
  return pickRuns({
    ...{ queued: runs, running: [], busy: new Set(), turns: [], limits: { ...NO_LIMITS, ...limits }, maintenance, now: NOW },
    ...more,
  });
}

describe('pickRuns', () => {
  it('starts all, oldest first, where nothing is in their way', () => {
    const runs = [
      queued('young', { queuedAt: ago(1) }),
      queued('old', { queuedAt: ago(5) }),
      queued('oldest', { queuedAt: ago(9) }),
    ];
    expect(pick(runs, {})).toEqual({ start: ['oldest', 'old', 'young'], waits: new Map() });
    expect(pick([], {})).toEqual({ start: [], waits: new Map() });
  });

  it.each([
    [{ perHost: 2 }, 'host-places', 'waits for host h: 2 of 2 places are taken'],
    [{ perRepository: 2 }, 'repository-places', 'waits for repository nas: 2 of 2 places are taken'],
    [{ perZone: 2 }, 'zone-places', 'waits for zone z: 2 of 2 places are taken'],
    [{ whole: 2 }, 'whole-places', 'waits for all orchestrators: 2 of 2 places are taken'],
    [{ here: 2 }, 'here-places', 'waits for this orchestrator: 2 of 2 places are taken'],
  ] as const)('keeps to %j, and says what the others wait for', (limits, code, sentence) => {
    const { start, waits } = pick(many('r', 3), limits, { running: [running()] });
    expect(start).toEqual(['r0']);
    expect([...waits]).toEqual([
      ['r1', { code, sentence }],
      ['r2', { code, sentence }],
    ]);
  });

  it('counts what others drive everywhere but among its own', () => {
    const others = [running({ here: false }), running({ here: false })];
    expect(pick(many('r', 3), { here: 2 }, { running: others }).start).toEqual(['r0', 'r1']);
    expect(pick(many('r', 3), { whole: 3 }, { running: others }).start).toEqual(['r0']);
  });

  it('starts nothing of a VM that has a run, nor two of one', () => {
    const going = running();
    const runs = [queued('a', { vmId: going.vmId }), queued('b', { vmId: -1 }), queued('c', { vmId: -1, repository: 'other' })];
    const { start, waits } = pick(runs, {}, { running: [going] });
    expect(start).toEqual(['b']);
    expect(waits.get('a')).toEqual({ code: 'vm-busy', sentence: 'waits until nobody else works on its VM' });
    expect(waits.get('c')?.code).toBe('vm-busy');
    expect(pick(runs, {}, { busy: new Set([-1]) }).start).toEqual(['a']);
  });

  it('waits for the time that a run was told, for its window, and for the end of a maintenance', () => {
    const runs = [
      queued('later', { notBefore: new Date('2026-11-29T12:00:01Z'), attempt: 1 }),
      queued('opens', { notBefore: new Date('2026-11-29T22:00:00Z'), startUntil: new Date('2026-11-30T06:00:00Z') }),
      queued('closed', { startUntil: NOW }),
      queued('now', { notBefore: NOW, startUntil: new Date('2026-11-29T12:00:01Z') }),
      queued('h2', { host: 'h2' }),
      queued('nas2', { repository: 'nas2' }),
    ];
    const { start, waits } = pick(runs, {}, { maintenance: { hosts: new Set(['h2']), repositories: new Set(['nas2']) } });
    expect(start).toEqual(['now']);
    expect([...waits.values()]).toEqual([
      { code: 'window-closed', sentence: 'waits for its next window: the last closed at 2026-11-29T12:00:00.000Z' },
      { code: 'host-maintenance', sentence: 'waits for host h2: in maintenance' },
      { code: 'not-before', sentence: 'is tried again at 2026-11-29T12:00:01.000Z' },
      { code: 'repository-maintenance', sentence: 'waits for repository nas2: in maintenance' },
      { code: 'not-before', sentence: 'waits until its window opens at 2026-11-29T22:00:00.000Z' },
    ]);
  });

  it('leaves room for incrementals in a storm of fulls, and counts what nobody can tell of among them', () => {
    const storm = [...many('full', 10, { expects: 'full' }), ...many('unknown', 10, { expects: 'unknown' })];
    const { start, waits } = pick([...storm, queued('incremental', { queuedAt: ago(1) })], { perHost: 4, fullShare: 0.5 });
    expect(start).toEqual(['full0', 'full1', 'incremental']);
    expect(waits.get('unknown9')).toEqual({
      code: 'host-fulls',
      sentence: 'waits for host h: 2 of 2 places that fulls may take are taken',
    });
    // Where there is one place it is for either.
    expect(pick(storm, { whole: 1, fullShare: 0 }).start).toEqual(['full0']);
  });

  it('lets the hosts take turns, whatever their number of runs and whoever came first', () => {
    const storm = many('a', 10_000, { host: 'a', queuedAt: ago(60) });
    const others = ['b', 'c'].map((host) => queued(host, { host, queuedAt: ago(1) }));
    expect(pick([...storm, ...others], { whole: 5 }).start).toEqual(['a0', 'b', 'c', 'a1', 'a10']);
    // Its turn was just now.
    const turns = [{ ...NAS, host: 'a', askedBy: 'service', at: NOW } as const];
    expect(pick([...storm, ...others], { whole: 3 }, { turns }).start).toEqual(['b', 'c', 'a0']);
    // Only the last turn counts, in whatever order they are told.
    const twice = [...turns, { ...NAS, host: 'a', askedBy: 'schedule', at: ago(30) } as const];
    expect(pick([...storm, ...others], { whole: 2 }, { turns: twice }).start).toEqual(['b', 'c']);
    expect(pick([...storm, ...others], { whole: 1 }, { turns: twice.slice(1) }).start).toEqual(['a0']);
  });

  it('takes what somebody asked for by hand before what comes by itself, until that has waited for long', () => {
    const manual = queued('manual', { askedBy: 'manual', queuedAt: ago(0) });
    const scheduled = queued('scheduled', { queuedAt: ago(14) });
    expect(pick([scheduled, manual], { whole: 1 }).start).toEqual(['manual']);
    expect(pick([{ ...scheduled, queuedAt: ago(16) }, manual], { whole: 1 }).start).toEqual(['scheduled']);
    // In the middle of a storm that goes on, the line of the storm had its turn just now.
    const turns = [{ ...NAS, host: 'h', askedBy: 'schedule', at: ago(1) } as const];
    expect(pick([{ ...scheduled, queuedAt: ago(160) }, manual], { whole: 1 }, { turns }).start).toEqual(['manual']);
  });

  it('lets nobody stand behind a run that waits for something else', () => {
    const going = [running({ repository: 'slow' })];
    const runs = [...many('slow', 3, { repository: 'slow' }), queued('quick', { queuedAt: ago(1) })];
    expect(pick(runs, { perRepository: 1, perHost: 2 }, { running: going }).start).toEqual(['quick']);
  });

  it('keeps places for a run that has waited for an hour, and says so', () => {
    const [host, nas] = [running({ host: 'h', repository: 'q' }), running({ host: 'g', repository: 'nas' })];
    const old = queued('old', { queuedAt: ago(61) });
    const young = [...many('q', 2, { repository: 'q' }), ...many('g', 2, { host: 'g' })];
    const limits = { perHost: 1, perRepository: 1 };
    // Its host's place has become free, then that of the repository.
    const { start, waits } = pick([old, ...young], limits, { running: [nas] });
    expect(start).toEqual([]);
    expect([waits.get('old')?.code, waits.get('q1')]).toEqual([
      'repository-places',
      { code: 'host-kept', sentence: 'waits for host h: a free place is kept for run old, which has waited for longer' },
    ]);
    expect(pick([{ ...old, queuedAt: ago(59) }, ...young], limits, { running: [nas] }).start).toEqual(['q0']);
    expect(pick([old, ...young], limits, {}).start).toEqual(['old']);
    // While it waits for its host it holds up nobody in the repository.
    expect(pick([old, ...young], limits, { running: [host] }).start).toEqual(['g0']);
    // What its host has begun elsewhere is none of its turns.
    const turns = [{ ...NAS, host: 'h', repository: 'q', askedBy: 'schedule', at: NOW } as const];
    expect(pick([old, ...young], { perRepository: 1 }, { turns }).start).toEqual(['old', 'q0']);
    // For one place one run keeps others.
    const two = [old, queued('older', { host: 'g', queuedAt: ago(62) })];
    const busy = { running: [running({ host: 'x', repository: 'nas' })] };
    expect(pick([...two, ...young, queued('gq', { host: 'g', repository: 'r' })], limits, busy).start).toEqual(['q0']);
  });

  it('has no places of a host, repository or zone that the books do not know', () => {
    const lost = many('r', 3, { host: null, repository: null, zone: null });
    expect(pick(lost, { perHost: 1, perRepository: 1, perZone: 1 }).start).toEqual(['r0', 'r1', 'r2']);
  });
});
