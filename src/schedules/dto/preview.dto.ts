import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsInt, IsString, Max, MaxLength, Min } from 'class-validator';
import { Optional } from '../../platform/optional';

/** Which runs to look ahead to. */
export class PreviewQuery {
  /** Of this VM (id or name). */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;

  /** Of the VMs of this offering (id or name). */
  @Optional()
  @IsString()
  @MaxLength(255)
  offering?: string;

  @ApiPropertyOptional({ description: 'How many runs.', default: 20, minimum: 1, maximum: 5000 })
  @Optional()
  @Transform(({ value }) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : (value as unknown)))
  @IsInt()
  @Min(1)
  @Max(5000)
  count?: number;
}

/** A backup that is to come. */
export class PreviewedRunDto {
  /** libvirt's name of the VM. */
  vm!: string;
  /** Name of its host; null: nobody knows where it is. */
  host!: string | null;
  /** Schedules (uuid) that ask for it; of two at one instant comes one backup. */
  schedules!: string[];
  /** The instant that its schedule names, RFC 3339 UTC. */
  scheduledFor!: string;
  /** When it starts, after its jitter and once windows let it, RFC 3339 UTC. */
  startsAt!: string;
  /** Why it waits for a window; null: it does not. */
  because!: string | null;
}

/** What is to be expected of a host in an hour. */
export class HourLoadDto {
  /** When the hour begins, RFC 3339 UTC. */
  hour!: string;
  /** Name of the host; null: of VMs that nobody knows where they are. */
  host!: string | null;
  /** Backups that start in it. */
  starts!: number;
  /** Those of them that nobody can say anything about: their VM has no backup yet. */
  unknown!: number;
  /** Seconds of backups in it, by what those of the same VM took: 7200 are two at any time. */
  seconds!: number;
  /** Bytes, likewise. */
  bytes!: number;
}

/** The next backups, and what they come to. */
export class PreviewDto {
  /** From when on, RFC 3339 UTC. */
  from!: string;
  /** What starts first stands first. */
  runs!: PreviewedRunDto[];
  /** By hour and host, of these runs; hours without any are left out. */
  load!: HourLoadDto[];
}
