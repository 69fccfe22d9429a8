import type { BookedBackup } from './booked-backup';

/** When the newest full was taken (epoch seconds), one that is hidden by now included: chains go on over it. Null: there is none. */
export function lastFull(backups: readonly BookedBackup[]): number | null {
  const dates = backups.flatMap(({ type, status, date }) =>
    type === 'FULL' && (status === 'BackedUp' || status === 'Hidden') ? (date ?? []) : [],
  );
  return dates.length === 0 ? null : Math.max(...dates);
}
