import { nextRun } from './next-run';
import type { Recurrence } from './recurrence';

const MINUTE = 60_000;
/** Eight years: the longest that a pattern pauses between two leap days. */
const MOST = 8 * 366 * 24 * 60 * MINUTE;

/** The last moment at which something recurred, up to and at another; null: it has not for years. */
export function previousRun(recurrence: Recurrence, zone: string, at: Date): Date | null {
  for (let span = MINUTE; span <= 2 * MOST; span *= 2) {
    let found: Date | null = null;
    for (let next = first(span); next !== null && next <= at; next = nextRun(recurrence, zone, next)) found = next;
    if (found !== null) return found;
  }
  return null;

  function first(span: number): Date | null {
    return nextRun(recurrence, zone, new Date(at.getTime() - span));
  }
}
