import { hasEnded, isRunState, RUN_ACTORS, RUN_MOVES, RUN_STATES, statesBefore } from './run-state';

describe('run states', () => {
  it('move as they may, by whom they may, and no other way', () => {
    expect(RUN_MOVES.map(({ from, to, by }) => `${by}: ${from} -> ${to}`)).toEqual([
      'runner: queued -> running',
      'operator: queued -> cancelled',
      'planner: queued -> skipped',
      'reaper: running -> running',
      'runner: running -> queued',
      'runner: running -> unknown',
      'runner: running -> succeeded',
      'runner: running -> failed',
      'runner: running -> cancelled',
      'runner: running -> skipped',
      'runner: unknown -> unknown',
      'runner: unknown -> running',
      'reaper: unknown -> running',
      'runner: unknown -> queued',
      'runner: unknown -> succeeded',
      'runner: unknown -> failed',
      'runner: unknown -> cancelled',
    ]);
  });

  it('are all reached, and everybody has something to do', () => {
    const reached = new Set(['queued']);
    for (const _ of RUN_STATES) for (const { from, to } of RUN_MOVES) if (reached.has(from)) reached.add(to);
    expect([...reached].sort()).toEqual([...RUN_STATES].sort());
    expect(new Set(RUN_MOVES.map(({ by }) => by))).toEqual(new Set(RUN_ACTORS));
  });

  it('end for good', () => expect(RUN_STATES.filter(hasEnded)).toEqual(['succeeded', 'failed', 'cancelled', 'skipped']));

  it('say what a change asks for', () => {
    expect(statesBefore('running', 'runner')).toEqual(['queued', 'unknown']);
    expect(statesBefore('running', 'reaper')).toEqual(['running', 'unknown']);
    expect(statesBefore('succeeded', 'runner')).toEqual(['running', 'unknown']);
    expect(statesBefore('succeeded', 'operator')).toEqual([]);
  });

  it('are known by name', () => {
    expect(RUN_STATES.every(isRunState)).toBe(true);
    expect(isRunState('BackedUp') || isRunState('toString')).toBe(false);
  });
});
