import { nextRun } from './next-run';
import type { Recurrence } from './recurrence';

/** Nobody reads more than that. */
const MOST = 1000;

/** How many more instants of a schedule have passed since one, a thousand at most. */
export function countPassed(recurrence: Recurrence, zone: string, instant: Date, now: Date): number {
  let passed = 0;
  for (let next = nextRun(recurrence, zone, instant); next !== null && next <= now && passed < MOST; passed += 1)
    next = nextRun(recurrence, zone, next);
  return passed;
}
