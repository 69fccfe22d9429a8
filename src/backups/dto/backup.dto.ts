import { IsBoolean, IsIn, IsInt, IsString, Max, MaxLength, Min, MinLength } from 'class-validator';
import { ProtectionDto } from './protection.dto';
import { PageQuery } from '../../platform/page';
import { Optional } from '../../platform/optional';
import {
  LOST_BITMAP_WISHES,
  type LostBitmapWish,
  MAX_BANDWIDTH,
  TRANSFER_WISHES,
  type TransferWish,
} from '../../domain/agent/facts';

/** A backup to take now. */
export class CreateBackupDto {
  /** VM (id or name). */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  vm!: string;

  /** `auto`: incremental where it is true, else full; `full`: a full in any case. */
  @Optional()
  @IsIn(['auto', 'full'])
  mode?: 'auto' | 'full';

  /** Freeze the guest's file systems for the moment of the checkpoint; needs the guest agent. */
  @Optional()
  @IsBoolean()
  quiesce?: boolean;

  /** How the data of a running VM travels, instead of what the offering or the repository says: `push`, `pull` or `auto`. */
  @Optional()
  @IsIn(TRANSFER_WISHES)
  transfer?: TransferWish;

  /**
   * MiB a second that it moves at most, all its disks together, instead of what the offering and the repository say, be it less or more.
   * Refused with `push` (`backup.push-unlimited`) and on a host whose script is CloudStack's own (`backup.stock-unlimited`): neither keeps a limit.
   */
  @Optional()
  @IsInt()
  @Min(1)
  @Max(MAX_BANDWIDTH)
  bandwidth?: number;

  /** What to do where a bitmap is lost on a disk, instead of what the offering says: `full` or `rescue`. */
  @Optional()
  @IsIn(LOST_BITMAP_WISHES)
  onLostBitmap?: LostBitmapWish;
}

/** Which backups to list. */
export class BackupsQuery extends PageQuery {
  /** VM (id or name). */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;
}

/** The plan of a backup: what a run would do now, and why. Nothing is promised: the host may change. */
export class PlanDto {
  /** `full`, `incremental` or `legacy-full`. */
  kind!: string;
  /** Why, as a code of the closed list. */
  reason!: string;
  /** Why, for people. */
  sentence!: string;
  /** Bitmap that would be created. */
  bitmapNew!: string | null;
  /** Directory on the NAS, relative. */
  path!: string;
  /** Chain (uuid) that it would belong to; null for legacy-full. */
  chainId!: string | null;
  /** Its place in the chain, 0 for a full. */
  position!: number | null;
  /** Parent (uuid); null for a full. */
  parentId!: string | null;
  /** How the data of a running VM would travel: `push`, `pull` or `auto`. */
  transfer!: string;
  /** Who said so: `call`, `offering`, `repository`, `limit`: there is one, and a push cannot keep it, or `default`: nobody. */
  transferFrom!: string;
  /** MiB a second that it would move at most, all disks together; null: no limit. */
  bandwidth!: number | null;
  /** Who said so: `call`, `offering` or `repository`; null: nobody. */
  bandwidthFrom!: string | null;
  /** What may go wrong for the guest, for people. */
  warnings!: string[];
  /** That its host was restarted since it was last seen, which of its VMs need a full and how those are spread; null: it was not. */
  restart!: string | null;
  /** What would be done per disk. */
  disks!: PlanDiskDto[];
}

/** One disk of a plan. */
export class PlanDiskDto {
  /** libvirt's target name. */
  target!: string;
  /** `full`, `incremental` or `rescued`. */
  mode!: string;
  /** Parent's file, relative to the mount; null for a full. */
  parentFile!: string | null;
}

/** One disk of a backup, as it was measured. */
export class BackupDiskDto {
  /** libvirt's target name. */
  target!: string;
  /** Path of the image on the host. */
  path!: string | null;
  /** File in the backup's directory. */
  file!: string | null;
  /** Backing file as stored in the file. */
  backing!: string | null;
  /** `full`, `incremental`, `rescued` or `converted`. */
  method!: string | null;
  /** Virtual size in bytes. */
  virtualSize!: number | null;
  /** Size of the file in bytes. */
  fileSize!: number | null;
  /** Bytes of data that the file itself holds. */
  ownData!: number | null;
  /** Bytes of zeroes that the file itself holds. */
  ownZero!: number | null;
  /** Bytes that the parent's bitmap called dirty just before. */
  dirtyBefore!: number | null;
  /** Result of qemu-img check. */
  check!: string | null;
}

/** A backup: one restore point. */
export class BackupDto {
  /** Identifier (uuid). */
  id!: string;
  /** VM (uuid). */
  vmId!: string;
  /** libvirt's name of the VM. */
  vm!: string;
  /** CloudStack's status word: BackingUp, BackedUp, Failed, Error, Hidden, ... */
  status!: string;
  /** `FULL` or `INCREMENTAL`. */
  type!: string;
  /** Directory on the NAS, relative. */
  externalId!: string | null;
  /** Repository (uuid) that it lies in, wherever its offering points by now; null: nobody knows. */
  repositoryId!: string | null;
  /** When it was finished, RFC 3339 UTC. */
  date!: string | null;
  /** Bytes of its directory on the NAS. */
  size!: number | null;
  /** Sum of the disks' virtual sizes in bytes. */
  protectedSize!: number | null;
  /** Why it was full or incremental, as a code of the closed list; null: not recorded by us. */
  reason!: string | null;
  /** What supports it: `proven`, `accounted`, `unproven` or `broken`. */
  assurance!: string | null;
  /** Whether every file up to the full is there and fits, by the books. */
  restorable!: boolean;
  /** Who said that it must stay; null: nobody. */
  protection!: ProtectionDto | null;
  /** CloudStack's chain keys as found in `backup_details`. */
  chain!: ChainKeysDto;
  /** What the reader of the details found odd: duplicates, missing or unknown keys. */
  findings!: string[];
}

/** The chain keys of a backup. */
export class ChainKeysDto {
  /** `nas.chain_id`. */
  chainId!: string | null;
  /** `nas.chain_position`. */
  position!: number | null;
  /** `nas.parent_backup_id`. */
  parentId!: string | null;
  /** `nas.bitmap_name`. */
  bitmap!: string | null;
  /** `nas.type`. */
  type!: string | null;
  /** `nas.bitmap_recreated`: the bitmap that had to be made good before this backup. */
  bitmapRecreated!: string | null;
  /** `ck.recreate_method`: `redefined`, `rescued` or `unknown`. */
  recreateMethod!: string | null;
}

/** A backup with its evidence. */
export class BackupWithEvidenceDto extends BackupDto {
  /** Run (uuid) that took it; null: not taken by us. */
  runId!: string | null;
  /** Its disks as measured. */
  disks!: BackupDiskDto[];
  /** What the host said, verbatim (FACTS version 1); null: it said none. */
  facts!: Record<string, unknown> | null;
}

/** Why a backup was what it was, and how we know. */
export class ExplanationDto {
  /** Backup (uuid). */
  backupId!: string;
  /** Why full or incremental. */
  why!: string[];
  /** Why this size, as far as known. */
  size!: string[];
  /** What it did to the guest: which way the data went, how long it was frozen or paused. */
  guest!: string[];
  /** How we know. */
  evidence!: string[];
}
