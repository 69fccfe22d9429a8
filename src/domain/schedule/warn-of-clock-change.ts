import { type ClockChange, clockChanges } from './clock-changes';
import { nextRun } from './next-run';
import type { Recurrence } from './recurrence';
import { wallOf } from './wall-of';

/** Every change of a year is in it. */
const DAYS = 366;

/**
 * What becomes, in the year to come, of times that the clocks of a zone skip or show twice; null: no such time is met. Patterns that go
 * through the hours (`0 * * * *`) meet them by nature, and nothing is lost: of those nothing is said.
 */
export function warnOfClockChange(recurrence: Recurrence, zone: string, from: Date): string | null {
  const [, hour = ''] = recurrence.cron.split(' ');
  if (/[*?/]/.test(hour)) return null;
  const met = clockChanges(zone, from, DAYS).flatMap((change) => meeting(recurrence, zone, change) ?? []);
  return met.length === 0 ? null : [...met, 'A time outside of those hours is met by no change.'].join(' ');
}

function meeting(recurrence: Recurrence, zone: string, { at, from, to }: ClockChange): string | null {
  const skipped = to > from;
  const [start, end] = skipped ? [from, to] : [to, from];
  // On clocks that are never changed it would come in between.
  const wall = nextRun(recurrence, 'UTC', new Date(start.getTime() - 1));
  if (wall === null || wall >= end) return null;
  const [date, time] = [dateOf(wall), timeOf(wall)];
  if (!skipped)
    return `On ${date} the clocks of ${zone} show ${time} twice: it is run ${recurrence.fixed ? 'the first time' : 'both times'}.`;
  const found = `On ${date} the clocks of ${zone} go from ${timeOf(from)} to ${timeOf(to)}, there is no ${time}:`;
  const next = nextRun(recurrence, zone, new Date(at.getTime() - 1));
  const shown = next === null ? null : wallOf(next, zone);
  return shown !== null && dateOf(shown) === date
    ? `${found} it is run at ${timeOf(shown)}.`
    : `${found} it is not run on that day.`;
}

const dateOf = (wall: Date): string => wall.toISOString().slice(0, 10);
const timeOf = (wall: Date): string => wall.toISOString().slice(11, 16);
