import { IsString, MaxLength } from 'class-validator';
import { PageQuery } from '../../platform/page';
import { Optional } from '../../platform/optional';

/** Which runs to list. */
export class RunsQuery extends PageQuery {
  /** VM (id or name). */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;
}

/** How far a run is. */
export class ProgressDto {
  /** Bytes done. */
  done!: number;
  /** Bytes in all; null: not known yet. */
  total!: number | null;
}

/** A run: one attempt to take a backup, to delete or restore one, or to let go what no rule keeps. */
export class RunDto {
  /** Identifier (uuid). */
  id!: string;
  /** VM (uuid). */
  vmId!: string;
  /** libvirt's name of the VM. */
  vm!: string;
  /** What it does: `backup`, `delete`, `restore` or `retention`. */
  kind!: string;
  /** `queued`, `running`, `unknown`, `succeeded`, `failed`, `cancelled` or `skipped`. */
  state!: string;
  /** Which attempt goes on, waits or was the last; the first is 1. What became of those before is among the warnings. */
  attempt!: number;
  /** The attempt that it waits for begins no sooner, RFC 3339 UTC; null: it is the first. */
  notBefore!: string | null;
  /** What it waits for while it is queued, one sentence; null: for nothing. */
  waits!: string | null;
  /** Why it seems to be stuck, and what to do; null: it does not. */
  stuck!: string | null;
  /** Who asked: `rest`, `cli`, `schedule` or `service`. */
  trigger!: string;
  /** Why the service asked for it by itself; null: somebody else did. */
  cause!: string | null;
  /** `full`, `incremental`, `legacy-full`, `deletion`, `restore` or `retention` as planned; null: not decided yet. */
  plannedKind!: string | null;
  /** Why, as a code of the closed list, once known. */
  reason!: string | null;
  /** Backup (uuid) that it made; null: none. What a restore brings back is in `GET /restores/{id}`. */
  backupId!: string | null;
  /** How far it is. */
  progress!: ProgressDto | null;
  /** MiB a second that a backup or a restore moves at most, as planned; null: no limit, or not decided yet. */
  bandwidth!: number | null;
  /** Stable code of the error. */
  errorCode!: string | null;
  /** What went wrong, where and why. */
  errorMessage!: string | null;
  /** What did not stop the run, but should be looked at. */
  warnings!: string[];
  /** Exit code of the host script; null: not known. */
  exitCode!: number | null;
  /** When somebody asked it to stop, RFC 3339 UTC; null: nobody did. */
  abortAsked!: string | null;
  /** RFC 3339 UTC. */
  created!: string;
  /** RFC 3339 UTC. */
  started!: string | null;
  /** RFC 3339 UTC. */
  ended!: string | null;
}

/** What the host script printed in a run. */
export class RunLogDto {
  /** Its standard output. */
  stdout!: string;
  /** Its standard error. */
  stderr!: string;
}
