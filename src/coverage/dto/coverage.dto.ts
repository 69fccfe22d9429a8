import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsString, MaxLength } from 'class-validator';
import { Optional } from '../../platform/optional';
import { PageQuery } from '../../platform/page';

/** Which VMs. */
export class CoverageQuery extends PageQuery {
  /** This VM (id or name) alone. */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;

  @ApiPropertyOptional({
    description: '`problems`: only VMs that something stands in the way of; a page then may hold fewer than its limit, or none.',
  })
  @Optional()
  @IsIn(['problems'])
  only?: 'problems';
}

/** Something that stands between a VM or a disk and its protection. */
export class CoverageProblemDto {
  /** `no-offering`, `no-schedule`, `late`, `failing`, `not-in-backup` and others (docs/schedules.md). */
  code!: string;
  /** What it is. */
  sentence!: string;
  /** What to do. */
  next!: string;
  /** Since when, RFC 3339 UTC; null: not known. */
  since!: string | null;
}

/** How well a disk is protected. */
export class DiskCoverageDto {
  /** libvirt's target name. */
  target!: string;
  /** Whether it is in the newest restore point. */
  protected!: boolean;
  /** Why not; null: it is. */
  problem!: CoverageProblemDto | null;
}

/** How well a VM is protected. */
export class CoverageDto {
  /** VM (uuid). */
  vmId!: string;
  /** libvirt's name of the VM. */
  vm!: string;
  /** `protected`: as its schedules promise; `late`: less than that; `unprotected`: it, or one of its disks, cannot be restored. */
  state!: string;
  /** When its newest restore point was taken, RFC 3339 UTC; null: there is none. */
  lastSucceeded!: string | null;
  /** That restore point (backup, uuid). */
  newestBackupId!: string | null;
  /** When the next backup is due, RFC 3339 UTC; null: never. */
  nextDue!: string | null;
  /** What stands in the way. */
  problems!: CoverageProblemDto[];
  /** Its disks. */
  disks!: DiskCoverageDto[];
}
