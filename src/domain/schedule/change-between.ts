import { zoneOffset } from './zone-offset';

/** The moment between two others (epoch milliseconds) at which the clocks of a zone are changed, to the second. They are changed once. */
export function changeBetween(zone: string, from: number, to: number): number {
  const before = zoneOffset(zone, from);
  let [low, high] = [Math.floor(from / 1000), Math.ceil(to / 1000)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (zoneOffset(zone, middle * 1000) === before) low = middle;
    else high = middle;
  }
  return high * 1000;
}
