import type { InspectFacts } from '../agent/facts';
import type { Assurance } from './assurance';
import type { DetailRow } from './chain-keys';

/** CloudStack's status words of a backup; `Hidden` is a deleted link that stays for the links above it. */
export const BACKUP_STATUSES = [
  'Allocated',
  'Queued',
  'BackingUp',
  'BackedUp',
  'Error',
  'Failed',
  'Restoring',
  'Removed',
  'Expunged',
  'Hidden',
] as const;
/** One of CloudStack's status words. */
export type BackupStatus = (typeof BACKUP_STATUSES)[number];

/** One disk of a backup as the books know it from the run that took it. */
export interface BookedDisk {
  /** libvirt's target name. */
  readonly target: string;
  /** Place in the host's list of disks; 0 is the root disk. */
  readonly deviceId: number;
  readonly path: string | null;
  readonly inode: number | null;
  /** Of the image, as it was seen before the backup. */
  readonly format: string | null;
  /** Bytes. */
  readonly virtualSize: number | null;
  /** File name in the backup's directory. */
  readonly file: string | null;
}

/** What is known of a backup's files on the NAS. */
export type FilesState = 'present' | 'missing' | 'damaged' | 'unknown';

/** One row of `backups` with all that the books know of it. */
export interface BookedBackup {
  readonly uuid: string;
  readonly status: BackupStatus;
  readonly type: 'FULL' | 'INCREMENTAL';
  /** Directory on the NAS, relative. */
  readonly externalId: string | null;
  /** When it was finished, epoch seconds. */
  readonly date: number | null;
  /** Bytes. */
  readonly size: number | null;
  /** Uuid of the repository it lies in. */
  readonly repositoryId: string | null;
  /** Its rows of `backup_details`, as they are. */
  readonly details: readonly DetailRow[];
  /** Empty when no facts were kept, as of a stock script's run. */
  readonly disks: readonly BookedDisk[];
  /** Of this link alone; null when nobody ever judged it. */
  readonly assurance: Assurance | null;
  readonly files: FilesState;
}

/** A change of a disk's virtual size that somebody saw and wrote down. */
export interface DiskResize {
  readonly target: string;
  /** Bytes before and after. */
  readonly from: number;
  readonly to: number;
}

/** All that a decision needs to know from the books about one VM. */
export interface Books {
  /** Newest first, without the row of the run that is being decided. */
  readonly backups: readonly BookedBackup[];
  /** `nas.active_checkpoint_id` of the VM. */
  readonly activeCheckpointId: string | null;
  /** The last epoch that named a bitmap or directory of this VM, whether its run succeeded or not. */
  readonly lastUsedEpoch: number | null;
  /** Last time the VM or one of its disks was restored or reverted, epoch seconds. */
  readonly restoredAt: number | null;
  /** Every resize known since the parent was taken, oldest first. */
  readonly resizes: readonly DiskResize[];
  /** Every inspection since the parent was taken, oldest first: the witnesses of its lineage. */
  readonly inspections: readonly Pick<InspectFacts, 'disks'>[];
}
