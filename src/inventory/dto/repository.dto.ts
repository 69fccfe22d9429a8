import { IsIn, IsInt, IsOptional, IsString, Matches, Max, MaxLength, Min, MinLength } from 'class-validator';
import type { Severity } from '../../domain/agent/host-finding';
import { MAX_BANDWIDTH, TRANSFER_WISHES, type TransferWish } from '../../domain/agent/facts';
import { REPOSITORY_TYPES, type RepositoryType } from '../../domain/agent/mount-option-names';
import { Optional } from '../../platform/optional';
import { OneLine } from '../../platform/one-line';
import type { SaidMaintenanceDto } from './maintenance.dto';

/** The way that backups take to a repository. */
class RepositoryWayDto {
  /**
   * How the data of a running VM travels, where neither the call nor the offering says: `push`, `pull` or `auto`, as for an offering. For
   * a slow NAS `pull` keeps it out of the way of every guest. Null (default): `push`, as CloudStack does.
   */
  @IsOptional()
  @IsIn(TRANSFER_WISHES)
  transfer?: TransferWish | null;

  /**
   * MiB a second that one backup moves here at most, all its disks together. Where the offering says a limit, too, the smaller one counts.
   * What a limit means for `transfer` is told at the offering. Null (default): no limit.
   */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_BANDWIDTH)
  bandwidth?: number | null;
}

/** A NAS export to add. */
export class CreateRepositoryDto extends RepositoryWayDto {
  /** Name, unique among repositories. */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  @OneLine()
  name!: string;

  /** How a host mounts it: `nfs`, `cifs`, `ceph`, or `dir` for a directory that is there already. */
  @IsIn(REPOSITORY_TYPES)
  type!: RepositoryType;

  /** Address as mount understands it, for example `nas.example:/export`; for `dir` an absolute path. */
  @IsString()
  @Matches(/^[^\s\0-][^\s\0]*$/, { message: 'address must be without blanks and not begin with a dash' })
  @MaxLength(1024)
  address!: string;

  /** Mount options. They are never shown again: they may hold credentials. */
  @Optional()
  @IsString()
  @Matches(/^[^\s\0]*$/, { message: 'mountOptions must be a comma list without blanks' })
  @MaxLength(1024)
  mountOptions?: string;
}

/** A change to a repository. Type and address stay: backups lie there. */
export class UpdateRepositoryDto extends RepositoryWayDto {
  /** New name. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  @OneLine()
  name?: string;

  /** New mount options. */
  @Optional()
  @IsString()
  @Matches(/^[^\s\0]*$/, { message: 'mountOptions must be a comma list without blanks' })
  @MaxLength(1024)
  mountOptions?: string;
}

/** What there is to say of a mount option. */
export class MountAdviceDto {
  /** Name of the option; its value only where that is what it is about. */
  option!: string;
  /** `ok`: fine, and worth knowing why; `warning`: it hurts; `error`: it can never work or does harm, and is refused today. */
  severity!: Severity;
  /** Why. */
  why!: string;
}

/** A repository as the books know it. */
export class RepositoryDto {
  /** Identifier (uuid). */
  id!: string;
  /** Name. */
  name!: string;
  /** `nfs`, `cifs`, `ceph` or `dir`. */
  type!: string;
  /** Address as mount understands it. */
  address!: string;
  /** Names of the mount options; values are never shown. */
  mountOptions!: string[];
  /** What there is to say of them, for the way that the data travels. */
  mountAdvice!: MountAdviceDto[];
  /** How the data of a running VM travels where neither the call nor the offering says: `push`, `pull` or `auto`; null: nobody said. */
  transfer!: string | null;
  /** MiB a second that one backup moves here at most; null: no limit. */
  bandwidth!: number | null;
  /** Its maintenance: no run begins there; null: it is not. */
  maintenance!: SaidMaintenanceDto | null;
  /** Bytes used when last looked; null: never looked. */
  usedBytes!: number | null;
  /** Bytes in all when last looked. */
  capacityBytes!: number | null;
  /** Bytes that it grows by a day, by what the books saw in the last thirty; null: there is less than a day to go by. */
  growthPerDay!: number | null;
  /** When it is full if it goes on like this, RFC 3339 UTC; null: never, or nobody can tell. */
  fullOn!: string | null;
  /** Why somebody should look at its space; null: there is enough. */
  spaceWarning!: string | null;
}
