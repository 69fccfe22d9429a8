import { Type } from 'class-transformer';
import { ArrayMaxSize, IsArray, IsString, Matches, MaxLength, MinLength, ValidateNested } from 'class-validator';
import { Optional } from '../../platform/optional';
import { OneLine } from '../../platform/one-line';

/** One disk of a VM, for a VM that is stopped when it is added. */
export class CreateVmDiskDto {
  /** libvirt's target name, for example `vda`. */
  @Matches(/^[a-z]{2,4}[a-z0-9]{0,4}$/, { message: 'target must be a libvirt target such as vda' })
  target!: string;

  /** Absolute path of the image on the host. */
  @IsString()
  @Matches(/^\/[^\0\n,]+$/, { message: 'path must be absolute and without commas' })
  @MaxLength(1024)
  path!: string;
}

/** A VM to take care of. */
export class CreateVmDto {
  /** libvirt's domain name, as `virsh list` shows it. */
  @IsString()
  @Matches(/^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/, { message: 'name must be a libvirt domain name' })
  name!: string;

  /** Host (id or name) that it runs on. */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  host!: string;

  /** Name for people. Default: the domain name. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  @OneLine()
  displayName?: string;

  /** Its disks, first disk first; left out: the host is asked, which needs the VM running. */
  @Optional()
  @IsArray()
  @ArrayMaxSize(64)
  @ValidateNested({ each: true })
  @Type(() => CreateVmDiskDto)
  disks?: CreateVmDiskDto[];
}

/** A change to a VM. */
export class UpdateVmDto {
  /** Host (id or name) that it runs on now. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  host?: string;

  /** Name for people. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  @OneLine()
  displayName?: string;
}

/** The offering that a VM gets. */
export class AssignOfferingDto {
  /** Offering (id or name). */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  offering!: string;
}

/** One disk of a VM as the books know it. */
export class VmDiskDto {
  /** Order on the bus, from 0; keeps the map from disk to file stable. */
  deviceId!: number;
  /** libvirt's target name. */
  target!: string;
  /** Path of the image on the host. */
  path!: string;
  /** Virtual size in bytes when last seen; null: never seen. */
  size!: number | null;
}

/** A VM as the books know it. */
export class VmDto {
  /** Identifier (uuid). */
  id!: string;
  /** libvirt's domain name. */
  name!: string;
  /** Name for people. */
  displayName!: string;
  /** Host (uuid) that it was last known on. */
  hostId!: string | null;
  /** Name of that host. */
  host!: string | null;
  /** Offering (uuid); null: none, so it cannot be backed up. */
  offeringId!: string | null;
  /** Name of that offering. */
  offering!: string | null;
  /** Bitmap that the next incremental goes by; null: the next backup is a full. */
  activeCheckpoint!: string | null;
  /** When a backup of it last succeeded, RFC 3339 UTC; null: none has. */
  lastSucceeded!: string | null;
  /** When the next is due by its schedules, RFC 3339 UTC; null: never. What it would be: `POST /backups?dryRun=true`. */
  nextDue!: string | null;
  /** Its disks. */
  disks!: VmDiskDto[];
}
