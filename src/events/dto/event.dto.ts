import { IsString, MaxLength } from 'class-validator';
import { Optional } from '../../platform/optional';
import { PageQuery } from '../../platform/page';

/** Which events. */
export class EventsQuery extends PageQuery {
  /** Of this VM (id or name). */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;

  /** Of this run (uuid). */
  @Optional()
  @IsString()
  @MaxLength(64)
  run?: string;

  /** Of this schedule (uuid). */
  @Optional()
  @IsString()
  @MaxLength(64)
  schedule?: string;

  /** Of this kind, such as `skipped` or `failed`. */
  @Optional()
  @IsString()
  @MaxLength(32)
  kind?: string;
}

/** Something that has happened. */
export class EventDto {
  /** In order of happening; what a stream goes on from. */
  seq!: number;
  /** `queued`, `started`, `progress`, `delayed`, `skipped`, `retried`, `recovered`, `stuck`, `retention`, `succeeded`, `failed` and others (docs/schedules.md). */
  kind!: string;
  /** Why, as a stable code; null: the kind says it. */
  reason!: string | null;
  /** The same for people. */
  message!: string;
  /** libvirt's name of the VM; null: it is about none. */
  vm!: string | null;
  /** Run (uuid); null: it is about none. */
  runId!: string | null;
  /** Schedule (uuid); null: it is about none. */
  scheduleId!: string | null;
  /** What else is known. */
  facts!: object | null;
  /** RFC 3339 UTC. */
  at!: string;
}
