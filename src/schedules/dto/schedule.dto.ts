import { IsBoolean, IsIn, IsInt, IsString, Max, MaxLength, Min, MinLength } from 'class-validator';
import { MISSED_POLICIES, type MissedPolicy } from '../../domain/schedule/judge-missed';
import { OneLine } from '../../platform/one-line';
import { Optional } from '../../platform/optional';
import { PageQuery } from '../../platform/page';
import { INTERVALS, type Interval } from '../intervals';

/** What may be said of a schedule at any time. */
export class UpdateScheduleDto {
  /** How often, in CloudStack's words; together with `at`. Not for one that has a cron pattern. */
  @Optional()
  @IsIn(INTERVALS)
  every?: Interval;

  /** When, in CloudStack's notation: `MM` of an hourly one, `MM:HH` of a daily, `MM:HH:D` of a weekly (1 is Sunday) or monthly one (1 to 28). */
  @Optional()
  @IsString()
  @MaxLength(100)
  at?: string;

  /** A cron pattern of five parts, in place of `every` and `at`; the only way for an offering. */
  @Optional()
  @IsString()
  @MaxLength(100)
  cron?: string;

  /** IANA name of the time zone that its times are meant in. Default: UTC. */
  @Optional()
  @IsString()
  @MaxLength(100)
  timezone?: string;

  /** How many of its backups are kept, as CloudStack's `max_backups`; 0 (default): it sets no limit. Not for one that has a cron pattern. */
  @Optional()
  @IsInt()
  @Min(0)
  @Max(10_000)
  maxBackups?: number;

  /** Whether the guest's file systems are frozen at the moment of the backup. Default: false. */
  @Optional()
  @IsBoolean()
  quiesce?: boolean;

  /** Seconds over which its VMs are spread: each is as many seconds late as its name says, always the same. Default: 0. */
  @Optional()
  @IsInt()
  @Min(0)
  @Max(86_400)
  jitterSeconds?: number;

  /** What becomes of a backup that is later than its grace: `run-once` (default) for all that were missed, or `skip`. */
  @Optional()
  @IsIn(MISSED_POLICIES)
  missed?: MissedPolicy;

  /** Seconds that a backup may be late without being missed. Default: 3600. */
  @Optional()
  @IsInt()
  @Min(0)
  @Max(604_800)
  graceSeconds?: number;
}

/** A schedule to add: of a VM or of an offering, in CloudStack's notation or as a cron pattern. */
export class CreateScheduleDto extends UpdateScheduleDto {
  /** VM (id or name). */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  vm?: string;

  /** Offering (id or name): it holds for each of its VMs, those that come later too. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  offering?: string;
}

/** Why a schedule is paused. */
export class PauseScheduleDto {
  /** For those who wonder later. */
  @Optional()
  @IsString()
  @MaxLength(1000)
  @OneLine()
  why?: string;
}

/** Which schedules to list. */
export class SchedulesQuery extends PageQuery {
  /** Of this VM (id or name) alone; those of its offering are not its own. */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;

  /** Of this offering (id or name). */
  @Optional()
  @IsString()
  @MaxLength(255)
  offering?: string;
}

/** A schedule as the books know it. */
export class ScheduleDto {
  /** Identifier (uuid). */
  id!: string;
  /** libvirt's name of its VM; null: it is an offering's. */
  vm!: string | null;
  /** Name of its offering; null: it is a VM's. */
  offering!: string | null;
  /** `hourly`, `daily`, `weekly` or `monthly`; null: it has a cron pattern. */
  every!: string | null;
  /** CloudStack's notation of when. */
  at!: string | null;
  /** The cron pattern that it comes to; null: what stands in CloudStack's table cannot be read, and nothing comes of it. */
  cron!: string | null;
  /** IANA name of the time zone. */
  timezone!: string;
  /** How many of its backups are kept; 0: no limit; null: it has a cron pattern, and retention policies say. */
  maxBackups!: number | null;
  /** Whether the guest is frozen. */
  quiesce!: boolean;
  /** Seconds over which its VMs are spread. */
  jitterSeconds!: number;
  /** `run-once` or `skip`. */
  missed!: string;
  /** Seconds that a backup may be late. */
  graceSeconds!: number;
  /** Since when it is paused, RFC 3339 UTC; null: it goes on. */
  paused!: string | null;
  /** Why. */
  pausedWhy!: string | null;
  /** The next instant that it names, before jitter and windows, RFC 3339 UTC; null: paused, or never. */
  next!: string | null;
  /** What to know of it: times that clocks skip or show twice, or why nothing comes of it. */
  warnings!: string[];
  /** RFC 3339 UTC. */
  created!: string;
  /** RFC 3339 UTC. */
  changed!: string;
}
