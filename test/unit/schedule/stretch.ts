import { IANAZone } from 'luxon';

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;

/** Both hemispheres, half an hour, three quarters, a day that never was, midnight, Ramadan, and no change at all. */
export const ZONES = [
  ...['UTC', 'Europe/Berlin', 'America/New_York', 'America/Santiago', 'Australia/Sydney', 'Australia/Lord_Howe'],
  ...['Asia/Kathmandu', 'Pacific/Apia', 'America/Nuuk', 'Africa/Cairo', 'Africa/Casablanca', 'America/Sao_Paulo'],
] as const;

/** Some days in one zone, minute by minute, as luxon has them. */
export interface Stretch {
  readonly zone: string;
  /** Epoch milliseconds of the first minute. */
  readonly start: number;
  /** Of each minute what clocks show, in minutes since 1970 by their own count. */
  readonly walls: readonly number[];
}

const known = new Map<string, Stretch>();

/** The days around a moment (epoch milliseconds). */
export function stretchAround(zone: string, moment: number): Stretch {
  const start = Math.floor(moment / DAY) * DAY - 2 * DAY;
  const key = `${zone} ${start}`;
  const found = known.get(key);
  if (found !== undefined) return found;
  const luxon = IANAZone.create(zone);
  const walls: number[] = [];
  for (let [minute, offset] = [0, 0]; minute < 5 * 1440; minute += 1) {
    const at = start + minute * MINUTE;
    // None of these zones is changed but at a whole quarter of an hour, and luxon takes its time.
    if (minute % 15 === 0) offset = luxon.offset(at);
    walls.push(at / MINUTE + offset);
  }
  const stretch = { zone, start, walls };
  known.set(key, stretch);
  return stretch;
}

/** Moments (epoch milliseconds) before which clocks of a zone were changed within twelve hours, over some years. */
function changesOf(zone: string): number[] {
  const luxon = IANAZone.create(zone);
  const found: number[] = [];
  const [from, to, step] = [Date.UTC(2011, 0), Date.UTC(2031, 0), DAY / 2];
  for (let at = from; at < to; at += step) if (luxon.offset(at) !== luxon.offset(at - step)) found.push(at);
  return found;
}

/** Days worth a look where no clock is changed: leap days and their lack, ends of months and years. */
const OTHERS = ['2028-02-29', '2027-02-28', '2100-02-28', '2026-12-31', '2026-04-30', '1970-01-05'].map((day) => Date.parse(day));

/** Where to look: some changes of each zone, spread over the years, and other days. */
export const PLACES: readonly { readonly zone: string; readonly moment: number }[] = ZONES.flatMap((zone) => {
  const changes = changesOf(zone);
  const some = changes.filter((_, index) => index < 2 || index >= changes.length - 2);
  return [...some, ...OTHERS.filter((_, index) => changes.length === 0 || index % 3 === zone.length % 3)].map((moment) => ({
    ...{ zone, moment },
  }));
});

export const MINUTE_MS = MINUTE;
