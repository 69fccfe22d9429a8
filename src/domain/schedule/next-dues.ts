import { nextRun } from './next-run';
import { type Next, type Rhythm } from './next-due';

/**
 * `nextDue` for many VMs after one moment. Those of one schedule differ by their jitter alone, so its instants are computed once: ten
 * thousand VMs ask for a few.
 */
export function nextDues(after: Date): (rhythm: Rhythm) => Next | null {
  const known = new Map<string, Instants>();
  return ({ recurrence, zone, jitter }) => {
    const key = `${recurrence.cron} ${zone}`;
    const instants = known.get(key) ?? { from: new Date(after), found: [], done: false };
    known.set(key, instants);
    const from = new Date(after.getTime() - jitter * 1000);
    if (from < instants.from) {
      const earlier: Date[] = [];
      for (
        let next = nextRun(recurrence, zone, from);
        next !== null && next <= instants.from;
        next = nextRun(recurrence, zone, next)
      )
        earlier.push(next);
      instants.found.unshift(...earlier);
      instants.from = from;
    }
    let instant = instants.found.find((one) => one > from);
    if (instant === undefined && !instants.done) {
      instant = nextRun(recurrence, zone, instants.found.at(-1) ?? instants.from) ?? undefined;
      if (instant === undefined) instants.done = true;
      else instants.found.push(instant);
    }
    return instant === undefined ? null : { instant, dueAt: new Date(instant.getTime() + jitter * 1000) };
  };
}

/** All instants of a schedule from a moment on, as far as they were asked for. */
interface Instants {
  from: Date;
  readonly found: Date[];
  done: boolean;
}
