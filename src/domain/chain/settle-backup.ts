import type { BackupMode, Facts } from '../agent/facts';
import { assureRun, type Verdict } from './assure-run';
import type { BackupPlan, BackupRequest } from './backup-plan';
import { toDetails } from './chain-keys';
import { checkRun, type RunFault } from './check-run';
import { bookedDisks, confirmedBitmap, madeKind, readRecreation, reasonOf } from './read-run';
import { sentenceOf, type FullReason } from './reasons';
import type { ActiveCheckpointChange, Answer, BackedUp, FailedBackup, Looks, Recreation, Settlement } from './settlement';

/** Failures of an incremental that a full does not share, with the reason that the full then has. */
const RETRY_AS_FULL: Readonly<Record<string, FullReason>> = {
  'recreate-failed': 'bitmap-unconfirmed',
  'incremental-unsupported': 'bitmap-unconfirmed',
  'parent-missing': 'parent-file-missing',
};

/** Ends of a stock script, which has no trap: what it had begun still lies there. */
const UNTIDY: ReadonlySet<string> = new Set(['silent-failure', 'script-killed', 'cleanup-failed']);
const NOBODY_LOOKED: Looks = { before: null, after: null };

/**
 * Decides what a run means for the books, from its plan, the parsed answer and the facts, or for a stock script, which tells none,
 * from what was seen around it.
 * Pure: it may be asked again by whoever finds the run later, with the same result.
 * @param factsPromised the script is one that tells facts of every run: without them it has not said that anything was checked.
 */
export function settleBackup(
  plan: BackupPlan,
  answer: Answer,
  facts: Facts | null,
  looks: Looks = NOBODY_LOOKED,
  factsPromised = false,
): Settlement {
  const recreation = readRecreation(plan, answer, facts);
  if (answer.exitCode === null || answer.code === 'outcome-unknown') {
    return {
      outcome: 'unknown',
      code: 'outcome-unknown',
      sentence: 'Nobody saw how the host script ended; the host has to be asked.',
      activeCheckpoint: afterFailure(plan, recreation),
      retire: [],
      findings: [],
    };
  }
  if (!answer.result) {
    const code = answer.code ?? facts?.error?.code ?? 'backup-failed';
    const why = answer.warnings.find((warning) => warning.startsWith(`${code}: `))?.slice(code.length + 2);
    const sentence = facts?.error?.message ?? `The host script failed with exit code ${answer.exitCode}${why ? `: ${why}` : ''}.`;
    const left = answer.needsCleanup || (facts === null && UNTIDY.has(code));
    const failure = failed(plan, { code, sentence, left, recreation, retry: retryOf(plan, answer, code) });
    // Killed, a stock script may have put an empty bitmap in the place of the parent's and not come to say so. Ours never does.
    const mute = !factsPromised && facts === null && code === 'script-killed' && plan.kind === 'incremental';
    return mute ? { ...failure, activeCheckpoint: { change: 'cleared' } } : failure;
  }
  const made = madeKind(plan, answer, facts);
  const size = answer.size ?? 0;
  const fault = checkRun(plan, made, facts) ?? checkReported(size, facts, factsPromised);
  // The script believes in its success, so what it wrote is still there.
  if (fault !== null) return failed(plan, { ...fault, left: true, recreation, retry: null });
  const verdict = assureRun(plan, made, answer, facts, recreation, looks);
  // What a stock script made is booked for what it is, as CloudStack has it; ours takes another.
  if (verdict.assurance === 'broken' && facts !== null) {
    // The books' bitmap still reaches back to the parent or is not the one they know: only a full is certain.
    const retry: BackupRequest = { mode: 'full', because: 'lineage-mismatch', quiesce: plan.quiesce, ...calledFor(plan) };
    const sentence = `The delta cannot be true: ${verdict.findings.join('; ')}.`;
    return {
      ...failed(plan, { code: 'delta-contradicted', sentence, left: true, recreation, retry }),
      activeCheckpoint: { change: 'cleared' },
    };
  }
  return backedUp(plan, made, { ...answer, size }, { facts, looks }, recreation, verdict);
}

/** Whether the script has said all that it says of a backup. Words can be lost on their way: the host's disk was full, a log was cut. */
function checkReported(size: number, facts: Facts | null, factsPromised: boolean): RunFault | null {
  if (facts === null && factsPromised)
    return { code: 'facts-missing', sentence: 'The facts of the host script cannot be read, so nobody knows what it checked.' };
  // Even an empty delta is a qcow2 file with a header.
  if (size === 0) return { code: 'size-unknown', sentence: 'The host script reported no size.' };
  const files = (facts?.disks ?? []).reduce((sum, { fileSize }) => sum + (fileSize ?? 0), 0);
  if (size < files)
    return { code: 'size-contradicted', sentence: `The size is said to be ${size} bytes, and the files alone have ${files}.` };
  return null;
}

function backedUp(
  plan: BackupPlan,
  made: BackupMode,
  answer: Answer & { readonly size: number },
  { facts, looks }: { readonly facts: Facts | null; readonly looks: Looks },
  recreation: Recreation | null,
  verdict: Verdict,
): BackedUp {
  const bitmap = made === 'legacy-full' ? null : confirmedBitmap(plan, answer, facts, looks.after);
  const incremental = plan.kind === 'incremental' && made === 'incremental';
  const parentUuid = incremental ? plan.parent.uuid : null;
  const chainId =
    made === 'legacy-full' ? null : plan.kind === 'incremental' && !incremental ? plan.fallbackChainId : plan.chainId;
  const position = chainId === null ? null : incremental ? plan.position : 0;
  const type = incremental ? 'incremental' : 'full';
  const reason = reasonOf(plan, made, facts, recreation);
  const disks = bookedDisks(plan, facts);
  // A delta over a bitmap that nobody can vouch for ends its chain: the next backup is a full.
  const closed = incremental && recreation?.method === 'unknown';
  const activeCheckpoint: ActiveCheckpointChange =
    bitmap === null || closed ? { change: 'cleared' } : { change: 'set', to: bitmap };
  const unused = plan.bitmapNew !== null && activeCheckpoint.change === 'cleared' ? [plan.bitmapNew] : [];
  return {
    outcome: 'backed-up',
    status: 'BackedUp',
    type: incremental ? 'INCREMENTAL' : 'FULL',
    externalId: plan.backupPath,
    size: answer.size,
    protectedSize: disks.reduce<number | null>(
      (sum, { virtualSize }) => (sum === null || virtualSize === null ? null : sum + virtualSize),
      0,
    ),
    details:
      chainId === null
        ? []
        : toDetails({
            parentBackupId: parentUuid,
            bitmapName: bitmap,
            chainId,
            position,
            type,
            bitmapRecreated: recreation?.bitmap ?? null,
            recreateMethod: recreation?.method ?? null,
            deletePending: false,
          }),
    chainId,
    position,
    parentUuid,
    reason,
    sentence: sentenceOf(reason),
    recreation,
    assurance: verdict.assurance,
    disks,
    needsCleanup: answer.needsCleanup || facts?.cleanup.ok === false,
    activeCheckpoint,
    retire: [...plan.superseded.filter((name) => name !== plan.bitmapNew), ...unused],
    findings: verdict.findings,
  };
}

interface Failure {
  readonly code: string;
  readonly sentence: string;
  readonly left: boolean;
  readonly recreation: Recreation | null;
  readonly retry: BackupRequest | null;
}

/** The parent's bitmap went on recording through a failed run, so the next incremental starts from the parent again. */
function failed(plan: BackupPlan, { code, sentence, left, recreation, retry }: Failure): FailedBackup {
  return {
    outcome: 'failed',
    status: left ? 'Error' : 'Failed',
    code,
    sentence,
    retry,
    activeCheckpoint: afterFailure(plan, recreation),
    retire: plan.bitmapNew === null ? [] : [plan.bitmapNew],
    findings: [],
  };
}

/**
 * Unless the script put an unknown bitmap in the place of the parent's: from then on nothing may build on that name.
 * Where the plan asked for a repair the script is one that registers the very bitmap again, even if its facts are lost.
 */
function afterFailure({ repair }: BackupPlan, recreation: Recreation | null): ActiveCheckpointChange {
  return { change: recreation?.method === 'unknown' && repair === 'none' ? 'cleared' : 'unchanged' };
}

function retryOf(plan: BackupPlan, { incrementalFallback }: Answer, code: string): BackupRequest | null {
  if (plan.kind !== 'incremental') return null;
  const because = RETRY_AS_FULL[code] ?? (incrementalFallback ? 'bitmap-unconfirmed' : undefined);
  return because === undefined ? null : { mode: 'full', because, quiesce: plan.quiesce, ...calledFor(plan) };
}

/** What the call said of the way; what the offering or the repository says is asked again. A plan of an older version does not tell them apart. */
function calledFor({
  transfer,
  transferFrom,
  bandwidth,
  bandwidthFrom,
}: BackupPlan): Pick<BackupRequest, 'transfer' | 'bandwidth'> {
  return {
    ...((transferFrom ?? 'call') === 'call' ? { transfer } : {}),
    ...(bandwidthFrom === 'call' && bandwidth !== null ? { bandwidth } : {}),
  };
}
