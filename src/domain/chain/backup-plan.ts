import type { LostBitmapWish, TransferWish } from '../agent/facts';
import type { BandwidthSource } from './choose-bandwidth';
import type { TransferSource } from './choose-transfer';
import type { FullReason, IncrementalReason, Reason } from './reasons';

/** One fact that led to a decision. */
export interface Evidence {
  /** The reason that it speaks for, or a word for what was found in order. */
  readonly fact: Reason;
  /** The disk it is about; null when it is about the VM or the books. */
  readonly target: string | null;
  readonly detail: string;
}

/** One disk of a plan, with what the inspection saw: settling compares it with what the run saw. */
export interface PlannedDisk {
  readonly target: string;
  /** Place in the host's list of disks; 0 is the root disk. */
  readonly deviceId: number;
  readonly path: string | null;
  readonly inode: number | null;
  /** Of the image; the script has to be told that of a stopped VM's disk. */
  readonly format: string | null;
  /** Bytes. */
  readonly virtualSize: number | null;
  /** `rescued`: compared with its chain, because the bitmap is lost. */
  readonly mode: 'full' | 'incremental' | 'rescued';
  /** The parent's file as a path from the root of the NAS; null for a full. */
  readonly parentFile: string | null;
  /** The parent's bitmap as inspected; null where the disk does not go by it. */
  readonly bitmap: { readonly granularity: number | null; readonly dirtyBytes: number | null } | null;
}

interface CommonPlan {
  /** libvirt's name of the VM. */
  readonly vm: string;
  readonly vmState: 'running' | 'paused' | 'shut off';
  /** The reason as a sentence for people. */
  readonly sentence: string;
  /** Directory on the NAS, `<vm>/<yyyy.MM.dd.HH.mm.ss>` UTC, of the same epoch as the new bitmap. */
  readonly backupPath: string;
  readonly repositoryId: string;
  /** Freeze the guest's file systems; only ever true for a running guest. */
  readonly quiesce: boolean;
  /** How the data of a live VM is to travel. */
  readonly transfer: TransferWish;
  /** Who said so. */
  readonly transferFrom: TransferSource;
  /** MiB a second that all disks together move at most; null: no limit, or a script that knows none. */
  readonly bandwidth: number | null;
  /** Who said so. */
  readonly bandwidthFrom: BandwidthSource | null;
  /** What the script is to do where it finds a bitmap lost. */
  readonly onLostBitmap: LostBitmapWish;
  readonly disks: readonly PlannedDisk[];
  /** Bitmaps of ours that nobody needs any more once this backup is in the books. */
  readonly superseded: readonly string[];
  /** What may go wrong for the guest, seen beforehand. */
  readonly warnings: readonly string[];
  readonly evidence: readonly Evidence[];
}

/** A full that starts a new chain. */
export interface FullPlan extends CommonPlan {
  readonly kind: 'full';
  readonly reason: FullReason;
  readonly bitmapNew: string;
  readonly chainId: string;
  readonly position: 0;
  readonly parent: null;
  readonly repair: 'none';
}

/** An incremental, on every disk over a bitmap that is healthy and ours by the books, or by comparison with the chain. */
export interface IncrementalPlan extends CommonPlan {
  readonly kind: 'incremental';
  readonly reason: IncrementalReason;
  readonly bitmapNew: string;
  readonly chainId: string;
  readonly position: number;
  readonly parent: { readonly uuid: string; readonly externalId: string; readonly bitmap: string };
  /** `redefine`: libvirt lost the checkpoint; the script registers it again before the job. `rescue`: some disk's bitmap is lost. */
  readonly repair: 'none' | 'redefine' | 'rescue';
  /** Chain of the full that the script takes instead, should it find that the incremental cannot be. */
  readonly fallbackChainId: string;
}

/** A full without bitmap and chain, on storage that cannot do better. */
export interface LegacyFullPlan extends CommonPlan {
  readonly kind: 'legacy-full';
  readonly reason: FullReason;
  readonly bitmapNew: null;
  readonly chainId: null;
  readonly position: null;
  readonly parent: null;
  readonly repair: 'none';
}

/** What a run is to do. Complete in itself, so that a run can be settled by whoever finds it later. */
export type BackupPlan = FullPlan | IncrementalPlan | LegacyFullPlan;

/** What somebody asked for. */
export interface BackupRequest {
  readonly mode: 'auto' | 'full';
  /** The reason to book for `full` where it was not a person's wish, as in a retry. */
  readonly because?: FullReason;
  readonly quiesce: boolean;
  /** Instead of what the offering or the repository says. */
  readonly transfer?: TransferWish;
  /** MiB a second, instead of what the offering and the repository say. */
  readonly bandwidth?: number;
  /** Instead of what the offering says. */
  readonly onLostBitmap?: LostBitmapWish;
}

/** What the VM's offering allows. */
export interface BackupPolicy {
  readonly incrementalEnabled: boolean;
  /** Longest chain, the full included; null or 1 and less: every backup is a full. */
  readonly fullEvery: number | null;
  /** From this moment on (epoch seconds) the next backup is a full; null: no such rule. */
  readonly fullDueAt: number | null;
  /** What to do where a bitmap is lost on any disk: a full of all disks, or a rescue of that one by comparison. */
  readonly onLostBitmap: LostBitmapWish;
  /** Build on a parent that nothing contradicts and too little supports, as every backup of a stock script is. */
  readonly acceptUnprovenParent: boolean;
  /** How the data of a live VM travels; null: the offering does not say. */
  readonly transfer: TransferWish | null;
  /** The same as the repository says, where the offering does not. */
  readonly repositoryTransfer: TransferWish | null;
  /** MiB a second that a run may move at most; null: the offering sets no limit. */
  readonly bandwidth: number | null;
  /** The same of the repository; the smaller one counts. */
  readonly repositoryBandwidth: number | null;
}
