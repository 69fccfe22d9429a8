import { Type } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';
import { Optional } from '../../platform/optional';
import { RetentionRulesDto, RetentionWishDto } from './policy.dto';

/** How far to look ahead, by which rules, and how backups go on. */
export class SimulationQuery extends RetentionWishDto {
  /** Days to look ahead, 1 to 366; default 365. */
  @Optional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(366)
  days?: number;

  /** Hours from one backup to the next; default: as the schedules that hold for the VM say, and without one 24. */
  @Optional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(8784)
  everyHours?: number;
}

/** One day ahead, as it ends. */
export class SimulatedDayDto {
  /** Its end, RFC 3339 UTC. */
  date!: string;
  /** Restore points. */
  points!: number;
  /** Bytes on the NAS, what is hidden included. */
  bytes!: number;
  /** Fulls that are taken on it. */
  fulls!: number;
  /** Incrementals that are taken on it. */
  incrementals!: number;
  /** Bytes that they write. */
  bytesWritten!: number;
  /** Backups that are removed from the NAS on it. */
  removed!: number;
  /** Bytes that this frees. */
  bytesFreed!: number;
  /** Seconds between the two neighbouring restore points that lie furthest apart; null: there are not two. */
  longestGap!: number | null;
}

/** What the rules come to on a VM's real chains, if backups go on like this. */
export class SimulationDto {
  /** libvirt's name of the VM. */
  vm!: string;
  /** By what. */
  rules!: RetentionRulesDto;
  /** Hours from one backup to the next, on average; more than one where several schedules take them. */
  everyHours!: number[];
  /** Bytes that a full is taken to have, by those before it; null: there is none, and it counts as nothing. */
  fullBytes!: number | null;
  /** The same of an incremental. */
  incrementalBytes!: number | null;
  /** Most bytes that lie on the NAS at the end of a day. */
  mostBytes!: number;
  /** Most bytes that are written on a day. */
  mostWritten!: number;
  /** Longest gap of all days, in seconds. */
  longestGap!: number | null;
  /** Day by day; the first is today, once all has gone that goes today. */
  days!: SimulatedDayDto[];
}
