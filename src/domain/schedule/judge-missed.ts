/** What becomes of a backup that is due for longer than its grace: nothing, or one for all that were missed. */
export const MISSED_POLICIES = ['skip', 'run-once'] as const;
/** The choice of one of them. */
export type MissedPolicy = (typeof MISSED_POLICIES)[number];

/** A backup that was due, as it is met. */
export interface DueBackup {
  /** When it was to start: its moment, its jitter and what its windows made of it. */
  readonly dueAt: Date;
  readonly now: Date;
  /** How many more moments of its schedule have passed since. */
  readonly passed: number;
  readonly policy: MissedPolicy;
  /** Seconds that it may be late without being missed. */
  readonly graceSeconds: number;
}

/** Whether it is run, and why. */
export interface MissedVerdict {
  readonly run: boolean;
  readonly code: 'on-time' | 'catch-up' | 'missed';
  readonly sentence: string;
}

/**
 * Whether a backup that is due is run or skipped. Of moments that have passed one backup comes at most, whatever the policy: a second would
 * find nothing to copy.
 */
export function judgeMissed({ dueAt, now, passed, policy, graceSeconds }: DueBackup): MissedVerdict {
  const late = Math.max(0, Math.floor((now.getTime() - dueAt.getTime()) / 1000));
  const due = `It was due at ${dueAt.toISOString().slice(0, 19)}Z`;
  const others = passed === 0 ? '' : passed === 1 ? ', and one more has passed' : `, and ${passed} more have passed`;
  if (late <= graceSeconds)
    return {
      run: true,
      code: 'on-time',
      sentence: `${due} and is ${spanOf(late)} late, within its grace of ${spanOf(graceSeconds)}${others}.`,
    };
  const missed = `${due} and is ${spanOf(late)} late, longer than its grace of ${spanOf(graceSeconds)}${others}:`;
  switch (policy) {
    case 'skip':
      return { run: false, code: 'missed', sentence: `${missed} its policy skips what was missed.` };
    case 'run-once':
      return { run: true, code: 'catch-up', sentence: `${missed} its policy runs once for all that was missed.` };
  }
}

/** `2 h 5 min`, `40 s`. */
function spanOf(seconds: number): string {
  const units = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const;
  let left = seconds;
  const parts = units.map(([size, name]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count === 0 ? '' : `${count} ${name}`;
  });
  // Two are exact enough.
  return (
    parts
      .filter((part) => part !== '')
      .slice(0, 2)
      .join(' ') || '0 s'
  );
}
