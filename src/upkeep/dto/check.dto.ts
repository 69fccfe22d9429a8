import { IsString, MaxLength, MinLength } from 'class-validator';
import type { Severity } from '../../domain/agent/host-finding';
import { Optional } from '../../platform/optional';

/** One thing that was looked at on a host. */
export class HostFindingDto {
  /** Stable code. */
  code!: string;
  /** `ok`, `warning` or `error`: backups fail or are worth less as long as it stands. */
  severity!: Severity;
  /** The host, a repository or a VM. */
  subject!: string;
  /** What was found. */
  what!: string;
  /** Why it matters; empty where all is well. */
  why!: string;
  /** What mends it, to be pasted into a shell, on the host (as root) or here; null: nothing to mend, or nothing that a command could. */
  command!: string | null;
}

/** Whether a host is ready for backups. */
export class HostCheckDto {
  /** Name of the host. */
  host!: string;
  /** The worst of all findings. */
  severity!: Severity;
  /** Everything that was looked at. */
  findings!: HostFindingDto[];
}

/** From where a repository is looked at. */
export class RepositoryCheckQuery {
  /** Host (id or name); default: any that works. */
  @Optional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  host?: string;
}

/** Whether a repository does what a backup will ask of it. */
export class RepositoryCheckDto {
  /** Name of the repository. */
  repository!: string;
  /** Name of the host that looked. */
  host!: string;
  /** The worst of all findings. */
  severity!: Severity;
  /** Everything that was looked at. */
  findings!: HostFindingDto[];
}
