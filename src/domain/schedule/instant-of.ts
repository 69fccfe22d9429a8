import { changeBetween } from './change-between';
import { zoneOffset } from './zone-offset';

const DAY = 86_400_000;

/**
 * The moment at which the clocks of a zone first show a time (as `wallOf` has it). Where they skip it: the moment of the change, the first
 * that there is after it.
 */
export function instantOf(wall: Date, zone: string): Date {
  const shown = wall.getTime();
  // No clock is a day from UTC, and none is changed twice within two days: one of both offsets is in force.
  const moments = [shown - DAY, shown + DAY].map((near) => shown - zoneOffset(zone, near)).sort((a, b) => a - b);
  const real = moments.find((moment) => moment + zoneOffset(zone, moment) === shown);
  return new Date(real ?? changeBetween(zone, moments[0] ?? shown, moments[1] ?? shown));
}
