import { IsIn } from 'class-validator';
import { RUNNING_WISHES, type RunningWish } from '../../domain/run/plan-maintenance';
import { WhoAndWhyDto } from '../../platform/who-and-why.dto';
import { Optional } from '../../platform/optional';

/** That the maintenance of a host or repository begins. */
export class BeginMaintenanceDto extends WhoAndWhyDto {
  /** What becomes of runs that go on there: `finish` (default) lets them end, `abort` asks each to stop. A deletion is never stopped. */
  @Optional()
  @IsIn(RUNNING_WISHES)
  running?: RunningWish;
}

/** A run that a maintenance concerns. */
export class ConcernedRunDto {
  /** Run (uuid). */
  id!: string;
  /** libvirt's name of its VM. */
  vm!: string;
  /** `backup`, `delete`, `restore` or `retention`. */
  kind!: string;
  /** `queued`, `running` or `unknown`. */
  state!: string;
  /** It is asked to stop, or would be. */
  abort!: boolean;
}

/** The maintenance of a host or repository, and the runs that it concerns. */
export class MaintenanceDto {
  /** `host` or `repository`. */
  of!: string;
  /** Its name. */
  name!: string;
  /** No run begins there now. Of a host CloudStack's state may say so too: `resourceState`. */
  inMaintenance!: boolean;
  /** Who said so; null: nobody did here. */
  by!: string | null;
  /** Why. */
  why!: string | null;
  /** What became of runs that went on: `finish` or `abort`. */
  running!: string | null;
  /** Since when, RFC 3339 UTC. */
  since!: string | null;
  /** Runs that go on there. When there are none any more, it is free. */
  goingOn!: ConcernedRunDto[];
  /** How many backups in it have their files read for checksums just now; null for a host. */
  reading!: number | null;
  /** How many runs wait for it, or would. */
  waits!: number;
  /** The first hundred of these. */
  waiting!: ConcernedRunDto[];
  /** Nothing was changed: so it would be. */
  dryRun!: boolean;
}

/** That a host or repository is in maintenance, because somebody said so. */
export class SaidMaintenanceDto {
  /** Who said so. */
  by!: string;
  /** Why. */
  why!: string;
  /** Since when, RFC 3339 UTC. */
  since!: string;
}
