const NUMBERS = {
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
} as const;
const DAY = 86_400_000;
/** Days of a zone that are kept: some years. */
const KEPT = 4000;

interface Zone {
  readonly format: Intl.DateTimeFormat;
  /** Offsets as days of UTC begin. */
  readonly days: Map<number, number>;
}

// Making a format takes far longer than using it, and using it far longer than looking up a day.
const zones = new Map<string, Zone>();

/** Milliseconds that the clocks of a zone are ahead of UTC at a moment (epoch milliseconds). */
export function zoneOffset(zone: string, moment: number): number {
  const known = zones.get(zone) ?? {
    format: new Intl.DateTimeFormat('en-US', { ...NUMBERS, hourCycle: 'h23', timeZone: zone }),
    days: new Map<number, number>(),
  };
  zones.set(zone, known);
  const day = Math.floor(moment / DAY);
  const offset = ofDay(known, day);
  // Clocks are not put forward and back within one day.
  return offset === ofDay(known, day + 1) ? offset : measure(known, moment);
}

function ofDay(zone: Zone, day: number): number {
  const found = zone.days.get(day);
  if (found !== undefined) return found;
  if (zone.days.size >= KEPT) zone.days.clear();
  const offset = measure(zone, day * DAY);
  zone.days.set(day, offset);
  return offset;
}

function measure({ format }: Zone, moment: number): number {
  const shown = new Map(format.formatToParts(moment).map(({ type, value }) => [type as string, Number(value)]));
  const part = (type: string): number => shown.get(type) ?? 0;
  const seconds = Math.floor(moment / 1000) * 1000;
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second')) - seconds;
}
