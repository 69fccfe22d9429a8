import { InvariantError } from '../errors';

/**
 * The states of a run. `unknown`: the outcome is not yet established and the host is being asked; it is never `failed`.
 * `skipped`: nothing was dispatched, because no backup could or needed to be taken.
 */
export const RUN_STATES = ['queued', 'running', 'unknown', 'succeeded', 'failed', 'cancelled', 'skipped'] as const;
/** The state of a run. */
export type RunState = (typeof RUN_STATES)[number];

/** Where a run can go from each state. From `unknown` a run that still lives on the host is `running` again. */
const MOVES: Readonly<Record<RunState, readonly RunState[]>> = {
  queued: ['running', 'failed', 'cancelled', 'skipped'],
  running: ['unknown', 'succeeded', 'failed', 'cancelled', 'skipped'],
  unknown: ['running', 'succeeded', 'failed', 'cancelled'],
  succeeded: [],
  failed: [],
  cancelled: [],
  skipped: [],
};

/** True when `text` is a state of a run. */
export function isRunState(text: string): text is RunState {
  return Object.hasOwn(MOVES, text);
}

/** True when a run in this state has ended for good. */
export function hasEnded(state: RunState): boolean {
  return MOVES[state].length === 0;
}

/** True when a run may go from one state to another. */
export function canMove(from: RunState, to: RunState): boolean {
  return MOVES[from].includes(to);
}

/** The new state. @throws InvariantError `run.bad-move` when a run may not go there. */
export function moveRun(from: RunState, to: RunState): RunState {
  if (!canMove(from, to))
    throw new InvariantError('run.bad-move', `A run cannot go from ${from} to ${to}.`, { facts: { from, to } });
  return to;
}
