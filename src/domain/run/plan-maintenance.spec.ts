import { type ConcernedRun, planMaintenance } from './plan-maintenance';
import { RUN_STATES } from './run-state';

describe('planMaintenance', () => {
  const run = (id: string, different: Partial<ConcernedRun> = {}): ConcernedRun & { id: string } => ({
    ...{ id, state: 'running', deletes: false, abortAsked: false },
    ...different,
  });
  const ids = (runs: readonly { readonly id: string }[]): string => runs.map(({ id }) => id).join(' ');

  it('lets what waits wait, and what goes on go on, whatever the wish', () => {
    const all = RUN_STATES.map((state) => run(state, { state }));
    for (const wish of ['finish', 'abort'] as const) {
      const { waiting, goingOn } = planMaintenance(all, wish);
      expect([ids(waiting), ids(goingOn)]).toEqual(['queued', 'running unknown']);
    }
  });

  it.each([
    ['finish', ''],
    ['abort', 'a lost'],
  ] as const)('with %s it asks these to stop: %s', (wish, asked) => {
    const all = [
      run('a'),
      run('lost', { state: 'unknown' }),
      run('deletion', { deletes: true }),
      run('asked', { abortAsked: true }),
      run('waits', { state: 'queued' }),
    ];
    expect(ids(planMaintenance(all, wish).toAbort)).toBe(asked);
  });
});
