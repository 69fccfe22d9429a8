import { Type } from 'class-transformer';
import { IsInt, IsTimeZone, Max, Min } from 'class-validator';
import { DeletionStepDto } from '../../backups/dto/deletion.dto';
import { Optional } from '../../platform/optional';

/** How many restore points are kept; nothing but zeroes keeps all. */
export class RetentionQuery {
  /** The newest. */
  @Count()
  keepLast?: number;

  /** One an hour. */
  @Count()
  keepHourly?: number;

  /** One a day. */
  @Count()
  keepDaily?: number;

  /** One a week (ISO 8601). */
  @Count()
  keepWeekly?: number;

  /** One a month. */
  @Count()
  keepMonthly?: number;

  /** One a year. */
  @Count()
  keepYearly?: number;

  /** Hours; what is younger stays. */
  @Count()
  minAgeHours?: number;

  /** Time zone (IANA) that days and weeks begin in; default UTC. */
  @Optional()
  @IsTimeZone()
  zone?: string;
}

function Count(): PropertyDecorator {
  return (target, key) => {
    for (const decorate of [Optional(), Type(() => Number), IsInt(), Min(0), Max(100_000)]) decorate(target, key);
  };
}

/** One restore point, and what a policy makes of it. */
export class RetentionLineDto {
  /** Backup (uuid). */
  backup!: string;
  /** When it was finished, RFC 3339 UTC. */
  date!: string | null;
  /** `FULL` or `INCREMENTAL`. */
  type!: string;
  /** What supports it. */
  assurance!: string | null;
  /** Bytes of its directory on the NAS. */
  size!: number | null;
  /** `stays`, `hidden` (links that stay stand on it) or `removed`. */
  fate!: string;
  /** The rule that keeps it, or why it goes. */
  why!: string;
}

/** What a policy would do to a VM today. */
export class RetentionPlanDto {
  /** libvirt's name of the VM. */
  vm!: string;
  /** Its restore points, newest first. */
  lines!: RetentionLineDto[];
  /** What would be done, in order. */
  steps!: DeletionStepDto[];
  /** Bytes on the NAS. */
  bytesFreed!: number;
  /** Restore points that the VM has afterwards. */
  pointsLeft!: number;
}
