import type { BackupPlan } from './backup-plan';
import type { FailedBackup, UnknownOutcome } from './settlement';

/** What could be done about a script that is gone without a word. */
export interface PutBack {
  /** What the host could not put back, for people. */
  readonly left: readonly string[];
  /** Whether nothing of the run lies on the NAS any more. */
  readonly discarded: boolean;
}

/**
 * Decides what becomes of a run that nobody will ever say the end of.
 * @param putBack null: it was a stock script, of which nothing can be put back
 */
export function settleLost(plan: BackupPlan, unknown: UnknownOutcome, putBack: PutBack | null): FailedBackup {
  const lost = { ...unknown, outcome: 'failed', status: 'Error', code: 'outcome-lost', retry: null } as const;
  if (putBack === null) {
    return {
      ...lost,
      sentence: 'The stock script is gone, and nobody saw how it ended: what it left on the NAS and on the VM is not known.',
      // It may have put an empty bitmap in the place of the parent's, or dropped that.
      activeCheckpoint: { change: 'cleared' },
    };
  }
  const { discarded, left } = putBack;
  const done = discarded
    ? 'what it had begun was discarded'
    : `what it had begun is still at ${plan.backupPath} on the NAS, and the sweep tries again to remove it`;
  const not = left.length === 0 ? '' : `; on the host this could not be put back: ${left.join('; ')}`;
  return {
    ...lost,
    sentence: `The host script ended without leaving an exit code; ${done}${not}.`,
    retire: plan.bitmapNew === null ? [] : [plan.bitmapNew],
  };
}
