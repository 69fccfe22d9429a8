import type { ChainkeeperError } from '../errors';
import { fractionOf } from '../fraction-of';

/** How often and how soon a run is tried again. */
export interface RetryLimits {
  /** Attempts in all, the first one included. */
  readonly attempts: number;
  /** Seconds before the second attempt; before each further one it is twice as long. */
  readonly firstSeconds: number;
  /** Seconds that it never waits longer than. */
  readonly longestSeconds: number;
}

/** An attempt of a run that is over, and has left nothing on the host. */
export interface FailedAttempt {
  readonly runId: string;
  /** The first is 1. */
  readonly attempt: number;
  /** Who has to act. */
  readonly family: ChainkeeperError['family'];
  /** Of the error, or the host script's own. */
  readonly code: string;
}

/** Whether a run is tried again, and why or why not. */
export type RetryAnswer =
  | { readonly kind: 'again'; readonly code: 'tried-again'; readonly sentence: string; readonly afterMs: number }
  | {
      readonly kind: 'never';
      readonly code: 'of-the-caller' | 'of-ours' | 'needs-somebody' | 'attempts-spent';
      readonly sentence: string;
    };

/** Failures of what is outside that stay as they are until somebody acts: waiting mends none of them. */
const NEEDS_SOMEBODY: ReadonlySet<string> = new Set([
  'bad-option',
  'disks-differ',
  'host.script-missing',
  'host.sudo-refused',
  'job-cancelled',
  'script-missing',
  'sudo-refused',
  'version-too-old',
  'vm-not-found',
  'wrong-vm',
]);

/** What the caller is told to ask for again later, and nothing has to be changed for: the run does that by itself. */
const PASSES: ReadonlySet<string> = new Set(['backup.in-progress', 'vm.busy', 'vm.migrating', 'vm.restoring']);

/** Seconds that no attempt is waited for longer than. */
export const LONGEST_RETRY_SECONDS = 3600;

/** Waits are up to this part shorter than they could be: runs that failed together do not come back together. */
const JITTER = 0.25;

/**
 * Whether a run whose attempt is over waits for another one.
 *
 * The runner's own ways come before this and are no attempts of their own. While a host is silent nothing is over: an order whose end
 * nobody saw is given again, and a job is followed until the host answers. An incremental that failed in a way that a full does not share
 * is dispatched again as a full, at once and in the same run. Only what neither of them could mend is asked here.
 */
export function retryRun({ runId, attempt, family, code }: FailedAttempt, limits: RetryLimits): RetryAnswer {
  const failed = `attempt ${attempt} of ${limits.attempts} failed (${code})`;
  if (family === 'user' && !PASSES.has(code))
    return never('of-the-caller', `${failed}; it fails again until somebody changes what was asked for`);
  if (family === 'invariant') return never('of-ours', `${failed}; that is an error of ours, and trying again does not mend it`);
  if (NEEDS_SOMEBODY.has(code)) return never('needs-somebody', `${failed}; it fails again until somebody mends it`);
  if (attempt >= limits.attempts) return never('attempts-spent', `${failed}, and there is no further one`);
  const seconds = Math.min(limits.longestSeconds, limits.firstSeconds * 2 ** (attempt - 1));
  const afterMs = Math.round(seconds * 1000 * (1 - JITTER * fractionOf(`${runId}/${attempt}`)));
  return {
    ...{ kind: 'again', code: 'tried-again', afterMs },
    sentence: `${failed}; it is tried again in ${spoken(afterMs)}`,
  };
}

const never = (code: Extract<RetryAnswer, { kind: 'never' }>['code'], sentence: string): RetryAnswer => ({
  ...{ kind: 'never', code, sentence },
});

const spoken = (ms: number): string => (ms < 90_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`);
