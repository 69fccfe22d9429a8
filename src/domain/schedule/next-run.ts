import { cronOf } from './cron-of';
import type { Recurrence } from './recurrence';

/**
 * The first moment strictly after another at which something recurs, by the clocks of a zone; null: never again. What becomes of the hours
 * that clocks skip or show twice: `docs/schedules.md`.
 */
export const nextRun = ({ cron }: Recurrence, zone: string, after: Date): Date | null => cronOf(cron, zone).nextRun(after);
