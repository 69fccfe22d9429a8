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
  readonly paused: boolean;
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

/** The next backups of all schedules together, so many, after a moment; what starts first stands first. */
export function previewRuns(schedules: readonly PreviewSchedule[], after: Date, count: number): PreviewedRun[] {
  const ask = nextOfAll();
  const firsts = schedules.flatMap((schedule) => {
    if (schedule.paused) return [];
    const first = runAfter(schedule, after, ask);
    return first === null ? [] : [{ schedule, first }];
  });
  // Nothing later than the last of these is among the next so many.
  const last = merge(firsts.map(({ first }) => first))[count - 1]?.startsAt ?? null;
  const runs = firsts.flatMap(({ schedule, first }) => {
    const own: PreviewedRun[] = [];
    for (
      let run: PreviewedRun | null = first;
      run !== null && own.length < count;
      run = runAfter(schedule, since(run, schedule), ask)
    ) {
      if (last !== null && run.startsAt > last) break;
      own.push(run);
    }
    return own;
  });
  return merge(runs).slice(0, count);
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

function runAfter(schedule: PreviewSchedule, after: Date, ask: Ask): PreviewedRun | null {
  const scheduledFor = ask(schedule, after);
  if (scheduledFor === null) return null;
  const start = whenMayStart(schedule.rules, new Date(scheduledFor.getTime() + schedule.jitter * 1000));
  if (start === null) return null;
  const { id, vm, host } = schedule;
  return { vm, host, schedules: [id], scheduledFor, startsAt: start.at, because: start.because };
}

/** From where on the next of a schedule is looked for: what would have started while a run waited is done by that run. */
const since = ({ scheduledFor, startsAt }: PreviewedRun, { jitter }: PreviewSchedule): Date =>
  new Date(Math.max(scheduledFor.getTime(), startsAt.getTime() - jitter * 1000));

/** One of each VM and moment, in the order in which they start. */
function merge(runs: readonly PreviewedRun[]): PreviewedRun[] {
  const merged = new Map<string, PreviewedRun>();
  for (const run of [...runs].sort((a, b) => a.startsAt.getTime() - b.startsAt.getTime() || compare(a.vm, b.vm))) {
    const key = `${run.scheduledFor.getTime()} ${run.vm}`;
    const first = merged.get(key);
    merged.set(key, first === undefined ? run : { ...first, schedules: [...first.schedules, ...run.schedules] });
  }
  return [...merged.values()];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
