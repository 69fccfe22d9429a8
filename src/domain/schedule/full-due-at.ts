import { instantOf } from './instant-of';
import { wallOf } from './wall-of';
import { WEEKDAYS, type Weekday } from './weekdays';

/** When a chain is begun anew, however few links it has. */
export interface FullRule {
  /** The first backup from this day of the week on is a full; null: on no set day. */
  readonly weekday: Weekday | null;
  /** So is the first from so many days after the last full; null: after no set time. */
  readonly everyDays: number | null;
  /** IANA name of the time zone that days begin in. */
  readonly zone: string;
}

const DAY = 86_400_000;

/**
 * Epoch seconds from which on the next backup is to be a full (`BackupPolicy.fullDueAt`); null: no rule says so, or there is no full yet.
 * It is the beginning of a day: counted by the hour, a full that started a minute late would put off the next by a whole backup, each time.
 */
export function fullDueAt({ weekday, everyDays, zone }: FullRule, lastFull: number | null): number | null {
  if (lastFull === null) return null;
  const shown = wallOf(new Date(lastFull * 1000), zone);
  const days: number[] = everyDays === null ? [] : [everyDays];
  // A full on the day itself was the one that was due: the next is a week later.
  if (weekday !== null) days.push(((WEEKDAYS.indexOf(weekday) - shown.getUTCDay() + 6) % 7) + 1);
  if (days.length === 0) return null;
  const midnight = Date.UTC(shown.getUTCFullYear(), shown.getUTCMonth(), shown.getUTCDate());
  return instantOf(new Date(midnight + Math.min(...days) * DAY), zone).getTime() / 1000;
}
