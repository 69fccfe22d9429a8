/** The spans of time that a policy counts in, from short to long. */
export const PERIODS = ['hour', 'day', 'week', 'month', 'year'] as const;
/** A span of time that a policy counts in; a week is ISO 8601's, from Monday on. */
export type Period = (typeof PERIODS)[number];

/** The name of the period that a moment (epoch seconds) lies in, in a time zone: two moments of one period have one name. */
export function periodOf(period: Period, moment: number, zone: string): string {
  const { year, month, day, hour, offset } = wallClock(moment, zone);
  const date = `${year}-${month}-${day}`;
  switch (period) {
    // The hour that comes twice when clocks are put back is two hours.
    case 'hour':
      return `${date}T${hour}${offset}`;
    case 'day':
      return date;
    case 'week':
      return isoWeek(Number(year), Number(month), Number(day));
    case 'month':
      return `${year}-${month}`;
    case 'year':
      return year;
  }
}

interface WallClock {
  readonly year: string;
  readonly month: string;
  readonly day: string;
  readonly hour: string;
  readonly offset: string;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function wallClock(moment: number, zone: string): WallClock {
  let format = formats.get(zone);
  if (format === undefined) {
    const numbers = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit' } as const;
    format = new Intl.DateTimeFormat('en-CA', { ...numbers, hourCycle: 'h23', timeZone: zone, timeZoneName: 'longOffset' });
    formats.set(zone, format);
  }
  const parts = new Map(format.formatToParts(moment * 1000).map(({ type, value }) => [type as string, value]));
  const part = (type: string): string => parts.get(type) ?? '';
  return { year: part('year'), month: part('month'), day: part('day'), hour: part('hour'), offset: part('timeZoneName') };
}

/** The week that holds the date's Thursday belongs to that Thursday's year. */
function isoWeek(year: number, month: number, day: number): string {
  const date = Date.UTC(year, month - 1, day) / 86_400_000;
  // The first of January 1970 was a Thursday.
  const thursday = date + 3 - ((((date + 3) % 7) + 7) % 7);
  const ofYear = Number(new Date(thursday * 86_400_000).toISOString().slice(0, 4));
  const week = Math.floor((thursday - Date.UTC(ofYear, 0, 1) / 86_400_000) / 7) + 1;
  return `${ofYear}-W${String(week).padStart(2, '0')}`;
}
