import { type DueBackup, judgeMissed } from './judge-missed';
import type { StartRules } from './start-rules';
import { neverAllowed, whenMayStart } from './when-may-start';

/** A backup that is due, and what the books say of its VM. */
export interface DueVm extends DueBackup {
  readonly vm: string;
  /** Of its offering and of its host. */
  readonly rules: readonly StartRules[];
  /** Name of its offering; null: it has none. */
  readonly offering: string | null;
  /** The backup of this VM that goes on or waits; null: none does. */
  readonly active: { readonly id: string; readonly state: string } | null;
  /** The run of this VM that was made for this very instant; null: none was. */
  readonly made: string | null;
}

/** What becomes of it, with a stable code and a sentence for people. */
export type DueVerdict = { readonly code: string; readonly sentence: string } & (
  | { readonly act: 'run'; readonly startUntil: Date | null; readonly stopAt: Date | null }
  | { readonly act: 'later'; readonly dueAt: Date }
  | { readonly act: 'skip' }
);

/** Whether a backup that is due is run now, later or not at all, and why. */
export function judgeDue(due: DueVm): DueVerdict {
  const { vm, rules, offering, active, made, now } = due;
  if (offering === null)
    return {
      ...{ act: 'skip', code: 'no-offering' },
      sentence: `VM ${vm} has no offering, so nobody said where its backups go: chainkeeper vm assign ${vm} OFFERING`,
    };
  if (made !== null)
    return {
      act: 'skip',
      code: 'run-made',
      sentence: `Run ${made} was made for this instant, by another schedule or before this one was changed.`,
    };
  const missed = judgeMissed(due);
  if (!missed.run) return { act: 'skip', code: missed.code, sentence: missed.sentence };
  if (active !== null)
    return { act: 'skip', code: 'run-active', sentence: `Run ${active.id} of this VM is ${active.state}, and does for both.` };
  const start = whenMayStart(rules, now);
  if (start === null) return { act: 'skip', ...neverAllowed(rules) };
  if (start.because !== null) return { act: 'later', ...start.because, dueAt: start.at };
  const { startUntil, stopAt } = start;
  return { act: 'run', code: missed.code, sentence: missed.sentence, startUntil, stopAt };
}
