import type { InspectFacts } from '../agent/facts';
import type { BackupPolicy, BackupRequest } from './backup-plan';
import type { Books } from './booked-backup';

/** Everything that a decision depends on; nothing else may influence it. */
export interface DecideInput {
  readonly request: BackupRequest;
  readonly policy: BackupPolicy;
  readonly books: Books;
  /** What the host said just now. */
  readonly facts: InspectFacts;
  /** Uuid of the repository that the backup goes to. */
  readonly repositoryId: string;
  /** The script on the host registers a surviving bitmap again exactly, as ours does; stock scripts may replace it by an empty one. */
  readonly hostRepairs: boolean;
  /** Epoch seconds. */
  readonly now: number;
  /** Uuid for a chain that this backup may start. */
  readonly newChainId: string;
}
