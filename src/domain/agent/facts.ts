/**
 * The shapes of what a host tells us, version 1. An unknown value is `null`, never a guess;
 * bytes are integers, times are RFC 3339 UTC with milliseconds.
 * `read-facts.ts` validates what comes in against these shapes.
 */

/** The dialects of the host script that exist in the field; ours prints `seed` and `final`. */
export const DIALECTS = ['legacy', 'seed', 'mid', 'final'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** What a disk's backup went by. */
export type DiskMethod = 'full' | 'incremental' | 'rescued' | 'converted';
/** How a bitmap was made good before an incremental. */
export type RecreateMethod = 'redefined' | 'rescued';
/** How the data travelled. */
export type Transfer = 'push' | 'pull' | 'offline';
/**
 * How the data of a live VM is asked to travel: QEMU writes the NAS itself (`push`), readers of the host copy from an export at the
 * checkpoint (`pull`), or whichever the host has room for (`auto`).
 */
export const TRANSFER_WISHES = ['push', 'pull', 'auto'] as const;
export type TransferWish = (typeof TRANSFER_WISHES)[number];
/** The highest limit in MiB a second that the host script takes. */
export const MAX_BANDWIDTH = 999_999;
/** What to do where a bitmap is lost on any disk: a full of all disks, or compare that disk with its chain and store what differs. */
export const LOST_BITMAP_WISHES = ['full', 'rescue'] as const;
export type LostBitmapWish = (typeof LOST_BITMAP_WISHES)[number];
/** What kind of backup a run asks for or made. `legacy-full` has no bitmap and no chain. */
export type BackupMode = 'full' | 'incremental' | 'legacy-full';

/** The machine that answered. */
export interface HostFacts {
  readonly name: string | null;
  readonly bootId: string | null;
  readonly libvirt: string | null;
  readonly qemu: string | null;
}

/** One dirty bitmap in the active layer of a disk. */
export interface BitmapFacts {
  readonly name: string;
  readonly recording: boolean | null;
  readonly inconsistent: boolean | null;
  readonly persistent: boolean | null;
  readonly busy: boolean | null;
  /** Bytes that one bit stands for. */
  readonly granularity: number | null;
  /** Bytes marked dirty now; null where only the image file could be read. */
  readonly dirtyBytes: number | null;
  /** The flags of the image file, where that is what was read: `auto`, `in-use`. */
  readonly flags?: readonly string[] | null;
}

/** One disk as `inspect` saw it. */
export interface InspectedDisk {
  /** libvirt's target name, for example `vda`. */
  readonly target: string;
  /** libvirt's kind of device: `disk`, `lun`. */
  readonly device?: string | null;
  readonly path: string | null;
  readonly inode: number | null;
  readonly type: 'file' | 'block' | 'network' | null;
  readonly format: string | null;
  /** qcow2 compatibility level; `0.10` cannot hold bitmaps. */
  readonly compat: string | null;
  readonly virtualSize: number | null;
  readonly clusterSize: number | null;
  /** Bytes that the image takes on its storage. */
  readonly actualSize?: number | null;
  readonly errorPolicy: string | null;
  readonly bitmaps: readonly BitmapFacts[] | null;
  /** Bytes that the guest wrote since QEMU started. */
  readonly writtenBytes: number | null;
}

/** `shut off` also stands for a transient domain that libvirt does not know; `absent`: nothing known at all. */
export type VmState = 'running' | 'paused' | 'shut off' | 'absent';

/** The answer of `inspect`: read-only facts about a VM, its disks and the repository. */
export interface InspectFacts {
  readonly v: 1;
  readonly script: string | null;
  readonly host: HostFacts;
  readonly vm: {
    readonly name: string;
    readonly state: VmState;
    /** Why it is in that state, in libvirt's words. */
    readonly reason?: string | null;
    readonly uuid: string | null;
    readonly qemuStarted: string | null;
  };
  readonly job: { readonly active: boolean; readonly operation: string | null };
  /** Names of libvirt's checkpoints of this VM, whoever made them. */
  readonly checkpoints: readonly string[];
  /** Whether a guest agent answers; null without a channel for one. */
  readonly agent?: boolean | null;
  readonly space: { readonly total: number; readonly free: number } | null;
  readonly disks: readonly InspectedDisk[];
  /** Preflight findings for people, each with a stable code. */
  readonly problems: readonly { readonly code: string; readonly message: string }[];
}

/** One disk of a finished run. */
export interface DiskFacts {
  readonly target: string;
  readonly path: string | null;
  readonly inode: number | null;
  readonly format: string | null;
  readonly virtualSize: number | null;
  readonly method: DiskMethod | null;
  /** File name in the backup's directory. */
  readonly file: string | null;
  /** Backing file as stored in the file: relative, null for a full. */
  readonly backing: string | null;
  readonly fileSize: number | null;
  readonly allocated: number | null;
  readonly clusterSize: number | null;
  /** Bytes of data clusters that the file itself holds (its own layer only). */
  readonly ownData: number | null;
  /** Bytes of zero clusters that the file itself holds. */
  readonly ownZero: number | null;
  /** Bytes that the parent's bitmap called dirty just before the job. */
  readonly dirtyBefore: number | null;
  /** Bytes of the disk that were compared with the chain, all of it; null where nothing was, or not to the end. */
  readonly compared: number | null;
  readonly parentBitmap: {
    readonly recording: boolean | null;
    readonly inconsistent: boolean | null;
    readonly persistent: boolean | null;
    readonly granularity: number | null;
  } | null;
  readonly check: 'ok' | 'errors' | 'skipped' | null;
  readonly writtenBytes: number | null;
}

/** `FACTS=` of a run of our script. Printed on failure too, then with `error`. */
export interface Facts {
  readonly v: 1;
  readonly script: string | null;
  readonly dialect: Dialect | null;
  readonly host: HostFacts;
  readonly vm: { readonly name: string | null; readonly state: VmState | null; readonly qemuStarted: string | null };
  readonly asked: {
    readonly mode: string | null;
    readonly bitmapNew: string | null;
    readonly bitmapParent: string | null;
  };
  readonly done: {
    readonly mode: BackupMode | 'none';
    readonly transfer: Transfer | null;
    /** Why, where the host chose it. */
    readonly transferReason: string | null;
    /** MiB a second that all disks together were held to; null: no limit. An older script does not say. */
    readonly bandwidth?: number | null;
    /** A reason code of the closed list where the script changed the plan, else null. */
    readonly reason: string | null;
    readonly recreateMethod: RecreateMethod | null;
    /** Why there was no rescue although one was asked for. */
    readonly rescueRefused: string | null;
    readonly bitmapNew: string | null;
  };
  readonly job: {
    readonly result: 'completed' | 'failed' | 'cancelled' | 'unknown';
    readonly error: string | null;
    readonly processed: number | null;
    readonly total: number | null;
    readonly ms: number | null;
  } | null;
  readonly disks: readonly DiskFacts[];
  readonly guest: {
    readonly frozenMs: number | null;
    readonly pausedMs: number | null;
    /** Its slowest write took this or more; null: none was seen to end, or nobody could count. An older script does not say. */
    readonly slowestWriteMs?: number | null;
    readonly resumed: boolean | null;
    readonly thawed: boolean | null;
  } | null;
  readonly space: { readonly total: number; readonly free: number } | null;
  readonly cleanup: { readonly ok: boolean; readonly left: readonly string[] };
  readonly timings: Readonly<Record<string, number | null>>;
  /** Why the run failed: a stable code of the script and a sentence. Null on success. */
  readonly error: { readonly code: string; readonly message: string } | null;
}
