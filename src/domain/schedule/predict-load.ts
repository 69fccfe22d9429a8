import type { PreviewedRun } from './preview-runs';

/** What a backup of a VM usually comes to. */
export interface UsualRun {
  readonly seconds: number;
  readonly bytes: number;
}

/** What is to be expected of a host in an hour. */
export interface HourLoad {
  /** When the hour begins; hours are UTC's. */
  readonly hour: Date;
  readonly host: string | null;
  /** Backups that start in it, and those of them that nobody can say anything about: their VM has none yet. */
  readonly starts: number;
  readonly unknown: number;
  /** Seconds of backups in it: 7200 are two at any time. */
  readonly seconds: number;
  readonly bytes: number;
}

const HOUR = 3_600_000;

type Figures = Pick<HourLoad, 'starts' | 'unknown' | 'seconds' | 'bytes'>;
const NONE: Figures = { starts: 0, unknown: 0, seconds: 0, bytes: 0 };

/** The load per hour and host of backups that are to come, by what those of the same VM usually came to; hours without any are left out. */
export function predictLoad(runs: readonly PreviewedRun[], usual: ReadonlyMap<string, UsualRun>): HourLoad[] {
  const loads = new Map<string, HourLoad>();
  const add = (time: number, host: string | null, more: Partial<Figures>): void => {
    const hour = new Date(Math.floor(time / HOUR) * HOUR);
    const key = JSON.stringify([hour.getTime(), host]);
    const { starts, unknown, seconds, bytes } = { ...NONE, ...loads.get(key) };
    loads.set(key, {
      ...{ hour, host, starts: starts + (more.starts ?? 0), unknown: unknown + (more.unknown ?? 0) },
      ...{ seconds: seconds + (more.seconds ?? 0), bytes: bytes + (more.bytes ?? 0) },
    });
  };
  for (const { vm, host, startsAt } of runs) {
    const expected = usual.get(vm);
    const [start, seconds] = [startsAt.getTime(), expected?.seconds ?? 0];
    add(start, host, { starts: 1, unknown: expected === undefined ? 1 : 0, bytes: seconds === 0 ? (expected?.bytes ?? 0) : 0 });
    if (expected === undefined) continue;
    // A backup that goes over the hour loads each with its part.
    for (let [from, end] = [start, start + seconds * 1000]; from < end;) {
      const to = Math.min(end, (Math.floor(from / HOUR) + 1) * HOUR);
      const part = (to - from) / 1000;
      add(from, host, { seconds: part, bytes: (expected.bytes * part) / seconds });
      from = to;
    }
  }
  return [...loads.values()].sort((a, b) => a.hour.getTime() - b.hour.getTime() || ((a.host ?? '') < (b.host ?? '') ? -1 : 1));
}
