const NUMBERS = {
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
} as const;

// Making one takes far longer than using it.
const formats = new Map<string, Intl.DateTimeFormat>();

/** Milliseconds that the clocks of a zone are ahead of UTC at a moment (epoch milliseconds). */
export function zoneOffset(zone: string, moment: number): number {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', { ...NUMBERS, hourCycle: 'h23', timeZone: zone });
    formats.set(zone, format);
  }
  const shown = new Map(format.formatToParts(moment).map(({ type, value }) => [type as string, Number(value)]));
  const part = (type: string): number => shown.get(type) ?? 0;
  const seconds = Math.floor(moment / 1000) * 1000;
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second')) - seconds;
}
