/** What can go wrong between the orchestrator and a host. */
export type TransportFault =
  /** Connection refused: nothing is executed. */
  | 'unreachable'
  /** No channel to be had: nothing is executed. */
  | 'busy'
  | 'key-unknown'
  | 'key-changed'
  | 'auth-failed'
  /** The command runs, and nobody waits for its end. */
  | 'timeout'
  /** The connection goes before the command has begun; there is no exit code that would tell. */
  | 'lost-before'
  /** The command ran to its end; its exit code and output are lost on the way back. */
  | 'lost-after'
  /** Something else than our script answers. */
  | 'garbage';

/** What can go wrong with a run on the host. */
export type ScriptFault =
  | 'mount-failed'
  /** The target fills in the middle of the job: the guest is paused by an I/O error. */
  | 'nas-full'
  | 'job-failed'
  /** Somebody else cancels libvirt's job. */
  | 'job-cancelled'
  /** QEMU goes away in the middle of the job. */
  | 'guest-gone'
  /** The script is killed in the middle of the job: no exit code, and nothing is cleaned up. */
  | 'killed'
  /** The script is killed when all is done and it has not said so: a backup is whole, a restore has put everything in place. */
  | 'killed-at-end'
  /** The mount stays: the data is good, the cleanup is not. */
  | 'umount-busy'
  | 'check-failed'
  | 'thaw-failed'
  /** libvirt does not take a bitmap that QEMU calls healthy. */
  | 'redefine-refused';

/** How a stock script can end besides. */
export type StockFault =
  /** libvirt or QEMU is too old for it: it ends at once, without a word. */
  | 'too-old'
  /** The job fails and so does taking it back: a part and the mount stay. */
  | 'cleanup-failed'
  /** It asks to be run again for a full. */
  | 'incremental-unsupported'
  /** The data is there, the new bitmap is not. */
  | 'bitmap-not-seeded'
  /** TERM at the worst moment: the shell around it sees how it ends, and nothing is cleaned up. */
  | 'terminated';

export type FaultKind = TransportFault | ScriptFault | StockFault;

/** One fault to come. */
export interface Fault {
  readonly kind: FaultKind;
  /** Operation that it hits (`start`, `status`, `backup` ...); default: the next one that it can hit. */
  readonly on?: string;
  /** How often it hits; default: once. */
  readonly times?: number;
}

/** What is to go wrong, in the order in which it was asked for. */
export class FaultPlan {
  #faults: { readonly kind: FaultKind; readonly on: string | undefined; left: number }[] = [];

  add({ kind, on, times = 1 }: Fault): void {
    this.#faults.push({ kind, on, left: times });
  }

  clear(): void {
    this.#faults = [];
  }

  /** The first fault of these kinds for this operation; it is used up by being asked for. */
  take<K extends FaultKind>(operation: string, kinds: readonly K[]): K | null {
    const found = this.#faults.find(({ kind, on }) => kinds.includes(kind as K) && (on ?? operation) === operation);
    if (!found) return null;
    found.left -= 1;
    if (found.left <= 0) this.#faults = this.#faults.filter((fault) => fault !== found);
    return found.kind as K;
  }
}
