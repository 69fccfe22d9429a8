import type { InspectFacts } from '../agent/facts';
import type { RunPath } from '../agent/read-size';
import type { Assurance } from './assurance';
import type { BackupRequest } from './backup-plan';
import type { BookedDisk } from './booked-backup';
import type { DetailRow, RecreateMethodBooked } from './chain-keys';
import type { Reason } from './reasons';

/** What settling needs of a parsed answer of a host script, whatever its dialect. */
export interface Answer {
  /** The data is complete, whatever became of the cleanup. */
  readonly result: boolean;
  /** Bytes of the backup's directory. */
  readonly size: number | null;
  /** The bitmap that the host says it created. Never the requested one in its stead. */
  readonly bitmapCreated: string | null;
  /** The bitmap that a final script can be taken to have made, though it did not say so: worth a look and nothing more. */
  readonly bitmapClaimed: string | null;
  /** Which way the script went: it looks at the VM by itself. */
  readonly runPath: RunPath;
  readonly bitmapRecreated: string | null;
  readonly incrementalFallback: boolean;
  readonly needsCleanup: boolean;
  readonly code: string | null;
  /** What the parser met; the one about the code says what it was found by. */
  readonly warnings: readonly string[];
  /** Null: nobody saw how it ended. */
  readonly exitCode: number | null;
}

/** What our script saw of the VM around a run that tells nothing of it; null where nobody looked. */
export interface Looks {
  /** The inspection that the plan was made on. */
  readonly before: InspectFacts | null;
  readonly after: InspectFacts | null;
}

/** A bitmap that had to be made good before the backup, and how. */
export interface Recreation {
  readonly bitmap: string;
  readonly method: RecreateMethodBooked;
}

/** What becomes of the VM's `nas.active_checkpoint_id`. */
export type ActiveCheckpointChange =
  { readonly change: 'unchanged' } | { readonly change: 'cleared' } | { readonly change: 'set'; readonly to: string };

interface CommonSettlement {
  readonly activeCheckpoint: ActiveCheckpointChange;
  /** Bitmaps to take off the VM, once all this is in the books. */
  readonly retire: readonly string[];
  /** What was seen that is not as it should be, for people. */
  readonly findings: readonly string[];
}

/** The backup goes into the books. */
export interface BackedUp extends CommonSettlement {
  readonly outcome: 'backed-up';
  readonly status: 'BackedUp';
  readonly type: 'FULL' | 'INCREMENTAL';
  readonly externalId: string;
  /** Bytes. */
  readonly size: number;
  /** Sum of the virtual sizes in bytes; null when one is unknown. */
  readonly protectedSize: number | null;
  /** Rows of `backup_details`; none for a legacy full. */
  readonly details: readonly DetailRow[];
  readonly chainId: string | null;
  readonly position: number | null;
  readonly parentUuid: string | null;
  readonly reason: Reason;
  /** The reason as a sentence for people. */
  readonly sentence: string;
  readonly recreation: Recreation | null;
  readonly assurance: Assurance;
  readonly disks: readonly BookedDisk[];
  /** Something was left behind on the host or the NAS, though the data is good. */
  readonly needsCleanup: boolean;
}

/** The run gave nothing that may be called a backup. */
export interface FailedBackup extends CommonSettlement {
  readonly outcome: 'failed';
  /** `Error`: something was left behind that has to be removed. */
  readonly status: 'Failed' | 'Error';
  /** Stable. */
  readonly code: string;
  /** What went wrong, for people. */
  readonly sentence: string;
  /** What to ask for at once instead; null: wait for the next run. */
  readonly retry: BackupRequest | null;
}

/** Nobody knows yet how it ended: the host has to be asked, and nothing else may be concluded. */
export interface UnknownOutcome extends CommonSettlement {
  readonly outcome: 'unknown';
  /** Stable. */
  readonly code: string;
  readonly sentence: string;
}

/** What a run means for the books. */
export type Settlement = BackedUp | FailedBackup | UnknownOutcome;
