import { canMove, hasEnded, isRunState, moveRun, RUN_STATES } from './run-state';

describe('run states', () => {
  it('move as they may, and no other way', () => {
    const moves = RUN_STATES.flatMap((from) => RUN_STATES.filter((to) => canMove(from, to)).map((to) => `${from} -> ${to}`));
    expect(moves).toEqual([
      'queued -> running',
      'queued -> failed',
      'queued -> cancelled',
      'queued -> skipped',
      'running -> unknown',
      'running -> succeeded',
      'running -> failed',
      'running -> cancelled',
      'running -> skipped',
      'unknown -> running',
      'unknown -> succeeded',
      'unknown -> failed',
      'unknown -> cancelled',
    ]);
  });

  it('end for good', () => expect(RUN_STATES.filter(hasEnded)).toEqual(['succeeded', 'failed', 'cancelled', 'skipped']));

  it('refuse a move that may not be', () => {
    expect(moveRun('queued', 'running')).toBe('running');
    expect(() => moveRun('succeeded', 'running')).toThrow(
      expect.objectContaining({ code: 'run.bad-move', facts: { from: 'succeeded', to: 'running' } }),
    );
  });

  it('are known by name', () => {
    expect(RUN_STATES.every(isRunState)).toBe(true);
    expect(isRunState('BackedUp') || isRunState('toString')).toBe(false);
  });
});
