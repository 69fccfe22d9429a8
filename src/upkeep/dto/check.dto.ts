import type { Severity } from '../../domain/agent/judge-host';

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
