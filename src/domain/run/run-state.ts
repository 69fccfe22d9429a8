/**
 * The states of a run. `queued`: it waits for its turn, the first time or after an attempt that failed. `unknown`: the outcome is not
 * yet established and the host is being asked; it is never `failed`. `skipped`: nothing was dispatched, because no backup could or
 * needed to be taken.
 */
export const RUN_STATES = ['queued', 'running', 'unknown', 'succeeded', 'failed', 'cancelled', 'skipped'] as const;
/** The state of a run. */
export type RunState = (typeof RUN_STATES)[number];

/**
 * Who changes the state of a run. The planner makes runs of what is due; the runner drives one under the lease on its VM; the reaper
 * takes over what a runner has left, and is a runner from then on; the operator is whoever calls.
 */
export const RUN_ACTORS = ['planner', 'runner', 'reaper', 'operator'] as const;
/** Who changes the state of a run. */
export type RunActor = (typeof RUN_ACTORS)[number];

/** One change of a run's state. From a state to itself: not the state changes, but who drives it or what is known of it. */
export interface RunMove {
  readonly from: RunState;
  readonly to: RunState;
  readonly by: RunActor;
  /** What it is, for people. */
  readonly what: string;
}

/** All that may happen to a run; what is not here does not happen. `docs/runs.md` shows it. */
export const RUN_MOVES: readonly RunMove[] = [
  { from: 'queued', to: 'running', by: 'runner', what: 'claims it' },
  { from: 'queued', to: 'cancelled', by: 'operator', what: 'aborts it' },
  { from: 'queued', to: 'skipped', by: 'planner', what: 'finds that it came to nothing' },
  { from: 'running', to: 'running', by: 'reaper', what: 'takes it over' },
  { from: 'running', to: 'queued', by: 'runner', what: 'tries it again later' },
  { from: 'running', to: 'unknown', by: 'runner', what: 'gets no word from the host' },
  { from: 'running', to: 'succeeded', by: 'runner', what: 'books what it made' },
  { from: 'running', to: 'failed', by: 'runner', what: 'books its failure' },
  { from: 'running', to: 'cancelled', by: 'runner', what: 'has stopped it as asked' },
  { from: 'running', to: 'skipped', by: 'runner', what: 'has nothing to do' },
  { from: 'unknown', to: 'unknown', by: 'runner', what: 'still gets no word' },
  { from: 'unknown', to: 'running', by: 'runner', what: 'hears of it again' },
  { from: 'unknown', to: 'running', by: 'reaper', what: 'takes it over' },
  { from: 'unknown', to: 'queued', by: 'runner', what: 'tries it again later' },
  { from: 'unknown', to: 'succeeded', by: 'runner', what: 'books what it made' },
  { from: 'unknown', to: 'failed', by: 'runner', what: 'books its failure' },
  { from: 'unknown', to: 'cancelled', by: 'runner', what: 'has stopped it as asked' },
];

/** True when `text` is a state of a run. */
export function isRunState(text: string): text is RunState {
  return (RUN_STATES as readonly string[]).includes(text);
}

/** True when a run in this state has ended for good. */
export function hasEnded(state: RunState): boolean {
  return !RUN_MOVES.some(({ from }) => from === state);
}

/** The states from which somebody may bring a run to a state: what each change of a row asks for. */
export function statesBefore(state: RunState, actor: RunActor): RunState[] {
  return RUN_MOVES.filter(({ to, by }) => to === state && by === actor).map(({ from }) => from);
}
