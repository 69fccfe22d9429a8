import { nextDue } from '../schedule/next-due';
import { momentsOf, type PreviewSchedule, startsAhead } from '../schedule/preview-runs';

/** A backup that is to come. */
export interface Take {
  /** Epoch seconds. */
  readonly date: number;
  /** Row id of CloudStack's schedule; null: of none. */
  readonly scheduleId: number | null;
  /** What asks for it: those of one have a distance of their own. */
  readonly by: string;
}

/** Backups that are taken again and again. */
export interface Rhythm {
  /** Seconds from one to the next. */
  readonly every: number;
  readonly scheduleId: number | null;
}

/** A schedule that holds for the VM, with the row id of CloudStack's. */
export interface TakingSchedule extends Omit<PreviewSchedule, 'due' | 'missed' | 'graceSeconds'> {
  readonly scheduleId: number | null;
}

const DAY = 86_400;
const HOUR = 3600;

/** Those of some rhythms that begin now, oldest first. */
export const takesEvery = (rhythms: readonly Rhythm[], now: number, days: number): Take[] =>
  rhythms
    .flatMap(({ every, scheduleId }, index) =>
      Array.from({ length: Math.floor((days * DAY) / every) }, (_, serial) => {
        return { date: now + (serial + 1) * every, scheduleId, by: `every ${every} ${index}` };
      }),
    )
    .sort((a, b) => a.date - b.date);

/** Those that schedules come to, as a preview has them, oldest first. */
export function* takesOf(schedules: readonly TakingSchedule[], now: number, days: number): Generator<Take, void> {
  const scheduleIds = new Map(schedules.map(({ id, scheduleId }) => [id, scheduleId]));
  const made = new Set<string>();
  const from = new Date(now * 1000);
  const ahead = schedules.flatMap((schedule): PreviewSchedule[] => {
    const due = nextDue(schedule, from);
    return due === null ? [] : [{ ...schedule, due, missed: 'run-once', graceSeconds: 0 }];
  });
  for (const run of startsAhead(ahead, from)) {
    const date = Math.floor(run.startsAt.getTime() / 1000);
    if (date > now + days * DAY) return;
    const moments = momentsOf(run);
    if (moments.some((moment) => made.has(moment))) continue;
    moments.forEach((moment) => made.add(moment));
    const [by = ''] = run.schedules;
    yield { date, scheduleId: scheduleIds.get(by) ?? null, by };
  }
}

/** Hours from one to the next of each that asks for some, on average; where there is but one, all that is looked ahead over. */
export function hoursBetween(takes: readonly Take[], days: number): number[] {
  return [...new Set(takes.map(({ by }) => by))].map((by) => {
    const dates = takes.filter((take) => take.by === by).map(({ date }) => date);
    const [first = 0, last = 0] = [dates[0], dates.at(-1)];
    const hours = dates.length < 2 ? days * 24 : (last - first) / (dates.length - 1) / HOUR;
    return Math.round(hours * 10) / 10;
  });
}
