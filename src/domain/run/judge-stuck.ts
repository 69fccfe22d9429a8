import type { RunState } from './run-state';

/** What is known of a run that has not ended. */
export interface WatchedRun {
  readonly state: RunState;
  readonly queuedAt: Date;
  /** It was told to wait until then; null: it was not. */
  readonly notBefore: Date | null;
  readonly startedAt: Date | null;
  /** When its bytes last became more; null: they never did. */
  readonly lastProgressAt: Date | null;
  /** Bytes. */
  readonly done: number | null;
  /** Bytes; null: not known. */
  readonly total: number | null;
  /** What runs of this VM, or on this host, usually come to; null: nobody has seen one. */
  readonly bytesPerSecond: number | null;
}

/** From when on something takes too long. */
export interface StuckLimits {
  readonly silentMinutes: number;
  readonly queuedHours: number;
}

/** Why a run seems to be stuck. */
export const STUCK_CODES = ['no-progress', 'longer-than-usual', 'queued-long'] as const;
/** Why a run seems to be stuck. */
export type StuckCode = (typeof STUCK_CODES)[number];

/** That a run seems to be stuck. */
export interface StuckFinding {
  readonly code: StuckCode;
  /** What is seen, for people. */
  readonly sentence: string;
  /** What to do. */
  readonly next: string;
}

/** A run may take so many times as long as its size explains, or be silent for so long at its end, and a while for what has no size: mounting, checking, booking. */
const PATIENCE = 3;
const BESIDES_MS = 10 * 60_000;

/** Whether a run seems to be stuck, by what it did until `now`; null: it does not. It is told, and nothing is stopped for it. */
export function judgeStuck(run: WatchedRun, limits: StuckLimits, now: Date): StuckFinding | null {
  return run.state === 'queued' ? queuedLong(run, limits, now) : (noProgress(run, limits, now) ?? longerThanUsual(run, now));
}

function queuedLong({ queuedAt, notBefore }: WatchedRun, { queuedHours }: StuckLimits, now: Date): StuckFinding | null {
  const since = Math.max(queuedAt.getTime(), notBefore?.getTime() ?? 0);
  const ms = now.getTime() - since;
  if (ms < queuedHours * 3_600_000) return null;
  return {
    code: 'queued-long',
    sentence: `It could have begun ${spoken(ms)} ago, and still waits.`,
    next: 'Its page says what it waits for: raise that limit, end that maintenance, or spread the schedules.',
  };
}

function noProgress(run: WatchedRun, { silentMinutes }: StuckLimits, now: Date): StuckFinding | null {
  const { state, startedAt, lastProgressAt, done, total } = run;
  const since = lastProgressAt ?? startedAt;
  if (since === null) return null;
  const ms = now.getTime() - since.getTime();
  // What comes then has no bytes: the NAS writes down what it has taken, and the images are checked.
  const all = total !== null && total > 0 && done !== null && done >= total;
  if (ms < silentMinutes * 60_000 * (all ? PATIENCE : 1)) return null;
  const where = all
    ? `all ${total} bytes are there, and it does not end`
    : done === null
      ? 'not one byte was seen'
      : `it stands at ${done} of ${total ?? 'an unknown number of'} bytes`;
  return {
    code: 'no-progress',
    sentence: `For ${spoken(ms)} it made no progress: ${where}.`,
    next:
      state === 'unknown'
        ? 'The host does not answer: look at it and at the network. The run goes on when it does.'
        : 'Look whether the NAS answers (chainkeeper host check HOST); with a push the guest waits too. Abort the run if it does not.',
  };
}

function longerThanUsual({ startedAt, total, done, bytesPerSecond }: WatchedRun, now: Date): StuckFinding | null {
  const bytes = total ?? done;
  if (startedAt === null || bytes === null || bytesPerSecond === null || bytesPerSecond <= 0) return null;
  const usual = (bytes / bytesPerSecond) * 1000;
  const ms = now.getTime() - startedAt.getTime();
  if (ms < usual * PATIENCE + BESIDES_MS) return null;
  return {
    code: 'longer-than-usual',
    sentence: `It has run for ${spoken(ms)}; ${bytes} bytes usually take ${spoken(usual)}.`,
    next: 'Look at how busy the host and the NAS are; fewer runs at once may end sooner.',
  };
}

function spoken(ms: number): string {
  if (ms < 90_000) return `${Math.round(ms / 1000)} s`;
  return ms < 90 * 60_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}
