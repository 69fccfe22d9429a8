import { Cron } from 'croner';

/** The most used are kept: to make one takes longer than to ask it, and each has 80 kB. */
const KEPT = 100;
const kept = new Map<string, Cron>();

/**
 * A pattern that can be asked for moments. A list or range of hours counts as set times, as in Vixie's cron: `0 2,14 * * *` is two times a
 * day, and neither of them is lost or doubled when clocks are changed.
 * @throws TypeError, RangeError the pattern is none
 */
export function cronOf(cron: string, zone: string): Cron {
  const key = `${zone} ${cron}`;
  const found = kept.get(key) ?? new Cron(cron, { timezone: zone, mode: '5-part', fixedTimeRule: 'no-wildcard' });
  // What was used last stands last.
  kept.delete(key);
  kept.set(key, found);
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT) break;
    kept.delete(oldest);
  }
  return found;
}
