import type { BitmapHealth, BitmapOwner } from '../../domain/chain/bitmap-inventory';

/** One bitmap of a VM, all disks together. */
export class BitmapDto {
  /** Name of the bitmap and of its checkpoint. */
  name!: string;
  /** When its run began, RFC 3339 UTC; null: another tool's. */
  created!: string | null;
  /** Targets of the disks that have it. */
  disks!: string[];
  /** libvirt has a checkpoint of this name; a restart loses it, and the next incremental registers it again. */
  checkpoint!: boolean;
  /** Bytes written since, over all disks; null: not known, as of a stopped VM. */
  dirtyBytes!: number | null;
  /** Bytes that one bit stands for; null: not known, or different from disk to disk. */
  granularity!: number | null;
  /** `healthy`, `no-bitmap`, `not-on-every-disk`, `inconsistent`, `not-recording`, `not-stored` or `unread`. */
  health!: BitmapHealth;
  /** `parent` (the next incremental goes by it), `backup` (no longer a parent), `run`, `ended-run`, `unknown` or `other-tool`. */
  owner!: BitmapOwner;
  /** Backup (uuid) that it belongs to. */
  backupId!: string | null;
  /** Run (uuid) that it is left over from, or that is at work on it. */
  runId!: string | null;
  /** What to do about it. */
  advice!: string;
}

/** The bitmaps on a VM as its host shows them now. */
export class BitmapsDto {
  /** libvirt's name of the VM. */
  vm!: string;
  /** `running`, `paused`, `shut off` or `absent`. */
  state!: string;
  /** Bitmap that the next incremental goes by; null: the next backup is a full. */
  activeCheckpoint!: string | null;
  /** Oldest first, other tools' last. */
  items!: BitmapDto[];
}
