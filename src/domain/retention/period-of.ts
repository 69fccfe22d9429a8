import { zoneOffset } from '../schedule/zone-offset';

/** The spans of time that a policy counts in, from short to long. */
export const PERIODS = ['hour', 'day', 'week', 'month', 'year'] as const;
/** A span of time that a policy counts in; a week is ISO 8601's, from Monday on. */
export type Period = (typeof PERIODS)[number];

/** The name of the period that a moment (epoch seconds) lies in, in a time zone: two moments of one period have one name. */
export function periodOf(period: Period, moment: number, zone: string): string {
  const offset = zoneOffset(zone, moment * 1000);
  const wall = new Date(moment * 1000 + offset);
  const shown = wall.toISOString();
  switch (period) {
    // The hour that comes twice when clocks are put back is two hours.
    case 'hour':
      return `${shown.slice(0, 13)} ${offset / 1000}`;
    case 'day':
      return shown.slice(0, 10);
    case 'week':
      return isoWeek(wall);
    case 'month':
      return shown.slice(0, 7);
    case 'year':
      return shown.slice(0, 4);
  }
}

/** The week that holds the date's Thursday belongs to that Thursday's year. */
function isoWeek(wall: Date): string {
  const date = Math.floor(wall.getTime() / 86_400_000);
  // The first of January 1970 was a Thursday.
  const thursday = date + 3 - ((((date + 3) % 7) + 7) % 7);
  const ofYear = Number(new Date(thursday * 86_400_000).toISOString().slice(0, 4));
  const week = Math.floor((thursday - Date.UTC(ofYear, 0, 1) / 86_400_000) / 7) + 1;
  return `${ofYear}-W${String(week).padStart(2, '0')}`;
}
