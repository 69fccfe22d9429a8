import { LONGEST_RETRY_SECONDS } from '../run/retry-run';
import { type DueBackup, judgeMissed } from './judge-missed';
import type { StartRules } from './start-rules';
import { neverAllowed, type StartDelay, whenMayStart } from './when-may-start';

/** A run that still waits, though what it was made by lets it start no more, or has changed. */
export interface ClosedRun extends Pick<DueBackup, 'now' | 'policy' | 'graceSeconds'> {
  /** Of its VM's offering and host, as they are now. */
  readonly rules: readonly StartRules[];
  readonly queuedAt: Date;
  /** It may begin no sooner: an attempt failed, or it waits for a window already. */
  readonly notBefore: Date | null;
  /** When its window closed. */
  readonly closedAt: Date;
}

/** When it may start instead, or why it never does. */
export type ClosedVerdict =
  | {
      readonly act: 'wait';
      readonly notBefore: Date | null;
      readonly startUntil: Date | null;
      readonly stopAt: Date | null;
      /** What is to be told; null: it may start now, or that was told before. */
      readonly because: StartDelay | null;
    }
  | { readonly act: 'skip'; readonly code: string; readonly sentence: string };

/**
 * What becomes of a run whose window has closed before it could start: it is put off until the next opens, unless it is missed by then and
 * its policy skips what was missed. A run is as old as it was, so that it comes before younger ones then.
 */
export function judgeClosed({ rules, now, queuedAt, notBefore, closedAt, policy, graceSeconds }: ClosedRun): ClosedVerdict {
  // Whoever waits for longer than any attempt does waits for a window, and that may be another one by now.
  const retryAt = notBefore !== null && notBefore > now && notBefore.getTime() - now.getTime() <= LONGEST_RETRY_SECONDS * 1000;
  const from = retryAt ? notBefore : now;
  const start = whenMayStart(rules, from);
  if (start === null) return { act: 'skip', ...neverAllowed(rules) };
  const { at, because, startUntil, stopAt } = start;
  if (because === null) return { act: 'wait', notBefore: retryAt ? notBefore : null, startUntil, stopAt, because };
  const closed = `Its window closed at ${closedAt.toISOString().slice(0, 19)}Z before it could start.`;
  const missed = judgeMissed({ dueAt: queuedAt, now: at, passed: 0, policy, graceSeconds });
  if (!missed.run) return { act: 'skip', code: missed.code, sentence: `${closed} When the next opens: ${missed.sentence}` };
  const told = notBefore?.getTime() === at.getTime();
  return {
    ...{ act: 'wait', notBefore: at, startUntil, stopAt },
    because: told ? null : { code: because.code, sentence: `${closed} ${because.sentence}` },
  };
}
