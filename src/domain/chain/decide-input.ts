import type { HostScript } from '../agent/build-argv';
import type { InspectFacts } from '../agent/facts';
import type { BackupPolicy, BackupRequest } from './backup-plan';
import type { Books } from './booked-backup';

/** Everything that a decision depends on; nothing else may influence it. */
export interface DecideInput {
  readonly request: BackupRequest;
  readonly policy: BackupPolicy;
  readonly books: Books;
  /** What the host said just now; where it has nothing that could look, what the books say. */
  readonly facts: InspectFacts;
  /** False: nobody could look, so bitmaps are taken to be as the books say, as CloudStack does. */
  readonly looked: boolean;
  /** Uuid of the repository that the backup goes to. */
  readonly repositoryId: string;
  /** The script on the host, and so what can be asked of it. */
  readonly script: HostScript;
  /** Epoch seconds. */
  readonly now: number;
  /** Uuid for a chain that this backup may start. */
  readonly newChainId: string;
}
