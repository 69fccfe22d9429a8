import { IsString, MaxLength } from 'class-validator';
import { Optional } from '../../platform/optional';
import { PageQuery } from '../../platform/page';
import { RunDto } from '../../runs/dto/run.dto';
import { AcceptanceDto } from './create-restore.dto';

/** Which restores to list. */
export class RestoresQuery extends PageQuery {
  /** VM (id or name). */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;

  /** Backup (uuid). */
  @Optional()
  @IsString()
  @MaxLength(255)
  backup?: string;
}

/** One disk: from its file on the NAS to where it goes. */
export class PlannedRestoreDiskDto {
  /** libvirt's target name. */
  target!: string;
  /** Place in the VM's list of disks; 0 is the root disk. */
  deviceId!: number;
  /** File in the backup's directory. */
  file!: string;
  /** Absolute path on the host: the VM's volume in place, else a new file or a block device. */
  to!: string;
  /** `qcow2` or `raw`. */
  format!: string;
  /** Virtual size in bytes; null: the books do not know. */
  virtualSize!: number | null;
  /** Bytes of the volume that is replaced; null: unknown, or none is. */
  sizeNow!: number | null;
}

/** The plan of a restore: what it is worth, and what goes where. */
export class RestorePlanDto {
  /** What the point was worth when it was planned: `proven`, `accounted`, `unproven` or `broken`. */
  assurance!: string;
  /** The same as a sentence. */
  sentence!: string;
  /** Who took it for that, and why; null: nobody had to. */
  accepted!: AcceptanceDto | null;
  /** Backup (uuid). */
  backup!: string;
  /** libvirt's name of the VM that was backed up. */
  vm!: string;
  /** Name of the host that does it. */
  host!: string;
  /** `in-place`, `new-disks` or `new-domain`. */
  way!: string;
  /** Directory of the backup on the NAS, relative. */
  externalId!: string;
  /** Disk by disk. */
  disks!: PlannedRestoreDiskDto[];
  /** Bytes that will be read and compared; null: unknown. */
  bytes!: number | null;
  /** Block devices may be written over. */
  overwrite!: boolean;
  /** Name of the new VM; null: none. */
  newName!: string | null;
  /** The new VM's network links are up. */
  networks!: boolean;
  /** VM that the disk is attached to; null: none. */
  attachTo!: string | null;
  /** MiB a second at most; null: no limit. */
  bandwidth!: number | null;
  /** What should be known before it begins. */
  warnings!: string[];
}

/** One disk, as it was restored. */
export class RestoredDiskDto {
  /** libvirt's target name. */
  target!: string;
  /** Where it went. */
  to!: string;
  /** The new disk was compared with its chain, byte for byte; null: it did not come to that. */
  identical!: boolean | null;
  /** Virtual size in bytes. */
  virtualSize!: number | null;
  /** Bytes that it takes; null where that means nothing. */
  allocated!: number | null;
  /** Files that it was read from. */
  links!: number | null;
  /** Of these the ones with a checksum that held; the others are not hashed yet. */
  hashed!: number | null;
  /** Bytes that could not be read and are zeroes now, of a salvage; null: all were read, or it did not come to that. */
  unread!: number | null;
  /** It stands in the place of the old volume. */
  swapped!: boolean;
  /** Milliseconds of the copy. */
  convertMs!: number | null;
  /** Milliseconds of the comparison. */
  compareMs!: number | null;
}

/** A VM that a restore has made. */
export class NewDomainDto {
  /** libvirt's name. */
  name!: string;
  /** libvirt's uuid. */
  uuid!: string;
}

/** Where a disk was attached. */
export class AttachedDto {
  /** libvirt's name of the VM. */
  vm!: string;
  /** libvirt's target name there. */
  target!: string;
}

/** What the host made of a restore. */
export class RestoreResultDto {
  /** Disk by disk. */
  disks!: RestoredDiskDto[];
  /** All disks stand in the place of the VM's volumes. */
  swapped!: boolean;
  /** The new VM; null: none. */
  domain!: NewDomainDto | null;
  /** Where the one disk was attached; null: nowhere. */
  attached!: AttachedDto | null;
  /** What was not as it had been and was taken all the same, in sentences: a salvage. */
  damaged!: string[];
  /** What it left behind on the host. */
  left!: string[];
  /** Milliseconds by phase. */
  timings!: Record<string, number | null>;
}

/** A restore: what was asked for, planned, done and compared. Kept for ever. */
export class RestoreDto {
  /** Identifier (uuid), its run's. */
  id!: string;
  /** Its run: state, progress, error. `POST /runs/{id}/abort` cancels it. */
  run!: RunDto;
  /** Backup (uuid). */
  backup!: string;
  /** `in-place`, `new-disks` or `new-domain`. */
  way!: string;
  /** What the point was worth when it was planned; null: it is not planned yet. */
  assurance!: string | null;
  /** Who took it for that, and why; null: nobody had to. */
  accepted!: AcceptanceDto | null;
  /** Every disk was compared with its chain and is the same; null: it did not come to that. */
  identical!: boolean | null;
  /** Since when the VM's volumes may be others, RFC 3339 UTC; null: they are the same. Its next backup is a full or a rescue. */
  vmTouched!: string | null;
  /** What was planned; null: it is not planned yet. */
  plan!: RestorePlanDto | null;
  /** What the host said; null: nothing yet, or it said nothing. */
  result!: RestoreResultDto | null;
}
