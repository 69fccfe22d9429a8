import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsString,
  Max,
  MaxLength,
  Min,
  MinLength,
  ValidateNested,
} from 'class-validator';
import { MAX_BANDWIDTH } from '../../domain/agent/facts';
import { DISK_FORMATS, type DiskFormat, RESTORE_WAYS, type RestoreWay } from '../../domain/restore/restore-plan';
import { Optional } from '../../platform/optional';
import { SaysSomething } from '../../platform/says-something';

/** Disks of a VM at most. */
const MOST_DISKS = 64;

/** Where one disk is to go. */
export class RestorePlaceDto {
  /** libvirt's target name at the time of the backup, for example `vda`. */
  @IsString()
  @MaxLength(16)
  target!: string;

  /** A new file, or a block device of the host; in place the volume of the VM that it goes over. Absolute. */
  @IsString()
  @MaxLength(1024)
  path!: string;
}

/** The file of a disk, where the books do not know it. */
export class RestoreFileDto {
  /** libvirt's target name at the time of the backup. */
  @IsString()
  @MaxLength(16)
  target!: string;

  /** File in the backup's directory on the NAS. */
  @IsString()
  @MaxLength(255)
  file!: string;
}

/** Somebody takes a doubtful point for what it is worth. */
export class AcceptanceDto {
  /** How far: `unproven`, or `broken`, which salvages also what a witness contradicts. */
  @IsIn(['unproven', 'broken'])
  level!: 'unproven' | 'broken';

  /** Who says so. */
  @IsString()
  @MaxLength(255)
  @SaysSomething()
  by!: string;

  /** Why, for whoever meets it later. */
  @IsString()
  @MaxLength(1000)
  @SaysSomething()
  why!: string;
}

/** A restore point, or some of its disks, to bring back now. */
export class CreateRestoreDto {
  /** Backup (uuid). */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  backup!: string;

  /** `in-place`: over the stopped VM's own volumes; `new-disks`: new files or block devices; `new-domain`: these, and a new VM over them. */
  @IsIn(RESTORE_WAYS)
  way!: RestoreWay;

  /** libvirt's target names; left out: all. */
  @Optional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MOST_DISKS)
  @IsString({ each: true })
  @MaxLength(16, { each: true })
  disks?: string[];

  /** Directory of the host that new files go to, absolute; it must be there. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(900)
  to?: string;

  /**
   * Paths of single disks, instead of a file in that directory. In place: the volume that a disk goes over, needed where its letter now
   * belongs to another volume than the one that was backed up; what that volume holds is lost.
   */
  @Optional()
  @IsArray()
  @ArrayMaxSize(MOST_DISKS)
  @ValidateNested({ each: true })
  @Type(() => RestorePlaceDto)
  places?: RestorePlaceDto[];

  /** Names of files that the books do not know, as of a stock script's run. */
  @Optional()
  @IsArray()
  @ArrayMaxSize(MOST_DISKS)
  @ValidateNested({ each: true })
  @Type(() => RestoreFileDto)
  files?: RestoreFileDto[];

  /** `qcow2` or `raw`; left out: in place what the volume is, or was when it was backed up, else qcow2, and raw on a block device. */
  @Optional()
  @IsIn(DISK_FORMATS)
  format?: DiskFormat;

  /** Block devices that are named may be written over. */
  @Optional()
  @IsBoolean()
  overwrite?: boolean;

  /** Name of the new VM. */
  @Optional()
  @IsString()
  @MaxLength(127)
  newName?: string;

  /** The new VM's network links are up; otherwise they are down, for there may be two of it. */
  @Optional()
  @IsBoolean()
  networks?: boolean;

  /** VM (libvirt's name) that the one new disk is attached to. */
  @Optional()
  @IsString()
  @MaxLength(127)
  attachTo?: string;

  /** MiB a second at most, disk by disk. */
  @Optional()
  @IsInt()
  @Min(1)
  @Max(MAX_BANDWIDTH)
  bandwidth?: number;

  /** Host (id or name) that does it, also another than the one that took the backup; left out: the VM's, or for new disks any that can. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  host?: string;

  /** Needed for a point that is `unproven` or `broken`; kept with the restore. */
  @Optional()
  @ValidateNested()
  @Type(() => AcceptanceDto)
  accept?: AcceptanceDto;
}
