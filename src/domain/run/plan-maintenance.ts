import { hasEnded, type RunState } from './run-state';

/** What becomes of runs that go on where a maintenance begins. */
export const RUNNING_WISHES = ['finish', 'abort'] as const;
export type RunningWish = (typeof RUNNING_WISHES)[number];

/** A run that needs a host or a repository. */
export interface ConcernedRun {
  readonly state: RunState;
  /** It lets restore points go: what it has hidden must go, so it is never stopped. */
  readonly deletes: boolean;
  /** Somebody has asked it to stop already. */
  readonly abortAsked: boolean;
}

/** What a maintenance means for the runs that it concerns. */
export interface MaintenancePlan<R> {
  /** They begin when it is over. */
  readonly waiting: readonly R[];
  /** They go on to their ends. */
  readonly goingOn: readonly R[];
  /** Those of them that are to be asked to stop now. */
  readonly toAbort: readonly R[];
}

/** What becomes of each run that a maintenance concerns. Asked again it asks nobody twice. */
export function planMaintenance<R extends ConcernedRun>(runs: readonly R[], wish: RunningWish): MaintenancePlan<R> {
  const goingOn = runs.filter(({ state }) => state !== 'queued' && !hasEnded(state));
  return {
    waiting: runs.filter(({ state }) => state === 'queued'),
    goingOn,
    toAbort: wish === 'finish' ? [] : goingOn.filter(({ deletes, abortAsked }) => !deletes && !abortAsked),
  };
}
