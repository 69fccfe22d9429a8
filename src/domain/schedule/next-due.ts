import { nextRun } from './next-run';
import type { Recurrence } from './recurrence';

/** What a schedule says of one VM. */
export interface Rhythm {
  readonly recurrence: Recurrence;
  readonly zone: string;
  /** Seconds, as `jitterOf` has them. */
  readonly jitter: number;
}

/** What comes next of a schedule for a VM. */
export interface Next {
  /** As the schedule says. */
  readonly instant: Date;
  /** With the VM's jitter. */
  readonly dueAt: Date;
}

/** The first that becomes due after a moment; null: nothing does any more. */
export function nextDue({ recurrence, zone, jitter }: Rhythm, after: Date): Next | null {
  const instant = nextRun(recurrence, zone, new Date(after.getTime() - jitter * 1000));
  return instant && { instant, dueAt: new Date(instant.getTime() + jitter * 1000) };
}
