import { judgeMissed, type MissedPolicy } from './judge-missed';
import type { Next } from './next-due';
import { nextRun } from './next-run';
import type { Recurrence } from './recurrence';
import type { StartRules } from './start-rules';
import { type StartDelay, whenMayStart } from './when-may-start';

/** One schedule of one VM, as far as a preview looks at it. */
export interface PreviewSchedule {
  readonly id: string;
  readonly vm: string;
  /** Where the VM lives now; null: nowhere. */
  readonly host: string | null;
  readonly recurrence: Recurrence;
  readonly zone: string;
  /** Seconds, as `jitterOf` has them. */
  readonly jitter: number;
  readonly rules: readonly StartRules[];
  /** What comes first of it by the books: it may wait for a window already, or be overdue. */
  readonly due: Next;
  readonly missed: MissedPolicy;
  readonly graceSeconds: number;
}

/** A backup that is to come. */
export interface PreviewedRun {
  readonly vm: string;
  readonly host: string | null;
  /** All that ask for it: of two schedules at one moment comes one backup. */
  readonly schedules: readonly string[];
  /** When its schedule says. */
  readonly scheduledFor: Date;
  /** When it starts: after its jitter, and once its windows let it. */
  readonly startsAt: Date;
  /** Why it waits; null: it does not. */
  readonly because: StartDelay | null;
}

/**
 * The next backups of all schedules together, so many, as it is now; what starts first stands first. Of schedules of one VM that name one moment,
 * or start at one, comes one run, by the one that is first.
 */
export function previewRuns(schedules: readonly PreviewSchedule[], now: Date, count: number): PreviewedRun[] {
  const runs: PreviewedRun[] = [];
  const made = new Map<string, number>();
  for (const next of startsAhead(schedules, now)) {
    const keys = momentsOf(next);
    const before = keys.map((key) => made.get(key)).find((one) => one !== undefined);
    const run = before === undefined ? undefined : runs[before];
    if (before !== undefined && run !== undefined) {
      runs[before] = { ...run, schedules: [...run.schedules, ...next.schedules] };
    } else {
      if (runs.length === count) return runs;
      for (const key of keys) made.set(key, runs.length);
      runs.push(next);
    }
  }
  return runs;
}

/** Of what has one of these in common comes one run. */
export const momentsOf = ({ vm, scheduledFor, startsAt }: PreviewedRun): string[] => [
  `${vm} for ${scheduledFor.getTime()}`,
  `${vm} at ${startsAt.getTime()}`,
];

/** All that schedules ask for as it is now, each by itself; what starts first comes first. It may never end. */
export function* startsAhead(schedules: readonly PreviewSchedule[], now: Date): Generator<PreviewedRun, void> {
  const ask = nextOfAll();
  const waiting = schedules.flatMap((schedule) => {
    const next = firstRun(schedule, now, ask);
    return next === null ? [] : [{ schedule, next }];
  });
  for (;;) {
    const [index, first] = firstOf(waiting);
    if (first === null) return;
    yield first.next;
    const next = runAfter(first.schedule, since(first.next, first.schedule), ask);
    if (next === null) waiting.splice(index, 1);
    else waiting[index] = { ...first, next };
  }
}

interface Waiting {
  readonly schedule: PreviewSchedule;
  readonly next: PreviewedRun;
}

/** What starts first; at one moment by the name of the VM, then as they stand. */
function firstOf(waiting: readonly Waiting[]): [number, Waiting | null] {
  let found = 0;
  for (let index = 1; index < waiting.length; index += 1) {
    const [one, best] = [waiting[index]?.next, waiting[found]?.next];
    if (one === undefined || best === undefined) continue;
    const later = one.startsAt.getTime() - best.startsAt.getTime();
    if (later < 0 || (later === 0 && one.vm < best.vm)) found = index;
  }
  return [found, waiting[found] ?? null];
}

type Ask = (schedule: PreviewSchedule, after: Date) => Date | null;

/** A thousand VMs of an offering ask for the same. */
function nextOfAll(): Ask {
  const known = new Map<string, Date | null>();
  return ({ recurrence, zone }, after) => {
    const key = `${after.getTime()} ${zone} ${recurrence.cron}`;
    const found = known.get(key);
    if (found !== undefined) return found;
    const next = nextRun(recurrence, zone, after);
    known.set(key, next);
    return next;
  };
}

/** What is due already is judged as the scheduler does, when it looks next. */
function firstRun(schedule: PreviewSchedule, now: Date, ask: Ask): PreviewedRun | null {
  const { due, missed: policy, graceSeconds, jitter } = schedule;
  const { dueAt, instant } = due;
  if (dueAt > now) return runOf(schedule, instant, dueAt);
  if (judgeMissed({ dueAt, now, passed: 0, policy, graceSeconds }).run) return runOf(schedule, instant, now);
  return runAfter(schedule, new Date(now.getTime() - jitter * 1000), ask);
}

function runAfter(schedule: PreviewSchedule, after: Date, ask: Ask): PreviewedRun | null {
  const scheduledFor = ask(schedule, after);
  return scheduledFor && runOf(schedule, scheduledFor, jittered(schedule, scheduledFor));
}

/** @param from from when on it may start: later than its schedule and jitter say where it was put off already */
function runOf(schedule: PreviewSchedule, scheduledFor: Date, from: Date): PreviewedRun | null {
  const { id, vm, host, rules } = schedule;
  const start = whenMayStart(rules, from);
  if (start === null) return null;
  const asked = jittered(schedule, scheduledFor);
  const because = start.because ?? (from > asked ? (whenMayStart(rules, asked)?.because ?? null) : null);
  return { vm, host, schedules: [id], scheduledFor, startsAt: start.at, because };
}

const jittered = ({ jitter }: PreviewSchedule, instant: Date): Date => new Date(instant.getTime() + jitter * 1000);

/** From where on the next of a schedule is looked for: what would have started while a run waited is done by that run. */
const since = ({ scheduledFor, startsAt }: PreviewedRun, { jitter }: PreviewSchedule): Date =>
  new Date(Math.max(scheduledFor.getTime(), startsAt.getTime() - jitter * 1000));
