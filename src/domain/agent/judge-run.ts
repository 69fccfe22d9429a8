import { codeOfExit, readExitCode } from './exit-codes';
import { type Dialect, type Facts } from './facts';
import { findFailure, findFatalFailure } from './failure-texts';
import { readJobType, type SizeReading } from './read-size';
import { clip } from './transcript';

/** What a verdict rests on. */
export interface Evidence {
  readonly dialect: Dialect;
  readonly exitCode: number | null;
  /** Lines of stdout and of stderr without markers. */
  readonly out: readonly string[];
  readonly err: readonly string[];
  readonly size: SizeReading;
  readonly facts: Facts | null;
  /** The host announced the new bitmap with a marker. */
  readonly bitmapAnnounced: boolean;
}

/** Whether there is a backup. */
export interface Verdict {
  readonly result: boolean;
  /** Null exactly when `result`. */
  readonly code: string | null;
  readonly needsCleanup: boolean;
  readonly rerunAsFull: boolean;
  /** The script says that there is no bitmap, whatever a marker says. */
  readonly withoutBitmap: boolean;
  readonly warnings: readonly string[];
}

interface Cause {
  readonly code: string;
  readonly why: string;
}

/** Weighs exit code, size, facts and words. The exit code is asked first, but it is not believed against the rest. */
export function judgeRun(evidence: Evidence): Verdict {
  const { size, exitCode } = evidence;
  const meaning = readExitCode(evidence.dialect, exitCode);
  const basis = {
    needsCleanup: meaning === 'needs-cleanup',
    rerunAsFull: meaning === 'incremental-unsupported',
    withoutBitmap: meaning === 'bitmap-not-seeded',
  };
  const failed = ({ code, why }: Cause): Verdict => ({ ...basis, result: false, code, warnings: [`${code}: ${clip(why)}`] });
  const good = (...warnings: string[]): Verdict => ({ ...basis, result: true, code: null, warnings });
  switch (meaning) {
    case 'unknown':
      return failed({ code: 'outcome-unknown', why: 'nobody saw the script end; it may still be writing.' });
    case 'incremental-unsupported':
      return failed({ code: 'incremental-unsupported', why: 'the script asks to be run again for a full.' });
    case 'done':
    case 'bitmap-not-seeded': {
      const cause = findContradiction(evidence) ?? findSizeProblem(evidence);
      if (cause !== null) return failed(cause);
      if (basis.withoutBitmap)
        return good('bitmap-not-seeded: the backup is good, but there is no bitmap for a next incremental.');
      return good(...jobWarnings(evidence));
    }
    case 'needs-cleanup':
    case 'failed': {
      // The bitmap is announced when the data is on the NAS; what can still fail after it is the cleaning up.
      if (size.ok && evidence.bitmapAnnounced && findContradiction(evidence) === null) {
        return { ...good(`cleanup-failed: exit ${exitCode} after the data was complete.`), needsCleanup: true };
      }
      return failed(findCause(evidence));
    }
  }
}

const factsError = (facts: Facts | null): Cause | null =>
  facts === null || facts.error === null ? null : { code: facts.error.code, why: facts.error.message };

/** What says that there is no backup although the exit code, or all else, says that there is one. */
function findContradiction({ out, err, facts }: Evidence): Cause | null {
  const fatal = findFatalFailure([...out, ...err]);
  return factsError(facts) ?? (fatal === null ? null : { code: fatal.code, why: fatal.line }) ?? findJobFailure(out, facts);
}

/** A job that libvirt itself calls failed or cancelled. */
function findJobFailure(out: readonly string[], facts: Facts | null): Cause | null {
  const result = facts?.job?.result ?? readJobType(out)?.toLowerCase();
  if (result === 'failed') return { code: 'job-failed', why: 'libvirt says that its job failed.' };
  if (result === 'cancelled') return { code: 'job-cancelled', why: 'libvirt says that its job was cancelled.' };
  return null;
}

function findSizeProblem({ out, err, size }: Evidence): Cause | null {
  if (size.ok) return null;
  const failure = size.code === 'size-missing' ? findFailure([...out, ...err]) : null;
  return failure === null ? { code: size.code, why: size.message } : { code: failure.code, why: failure.line };
}

/** Why a script failed: by its facts, its words, libvirt's, and its exit code, in this order. */
function findCause(evidence: Evidence): Cause {
  const { dialect, out, err, size, facts } = evidence;
  const failure = findFailure([...out, ...err]);
  const known =
    factsError(facts) ?? (failure === null ? null : { code: failure.code, why: failure.line }) ?? findJobFailure(out, facts);
  if (known !== null) return known;
  const exitCode = evidence.exitCode ?? 1;
  const last = err.at(-1) ?? out.at(-1);
  return {
    // After the size nothing but unmounting is left to fail.
    code: size.ok && exitCode === 32 ? 'cleanup-failed' : codeOfExit(dialect, exitCode, out.length === 0),
    why: last === undefined ? `exit ${exitCode} without a word.` : `exit ${exitCode}; the last words: ${last}`,
  };
}

/** libvirt forgets a job's result when somebody reads it: `None` is no success, but the script has seen one before it. */
function jobWarnings({ out }: Evidence): string[] {
  const type = readJobType(out);
  return type === null || type === 'Completed'
    ? []
    : [`job-unconfirmed: libvirt called the job ${type} when it was asked again.`];
}
