import type { AbortReport } from '../agent/read-job-status';
import type { RestoreFacts } from '../agent/read-restore';
import type { RestorePlan } from './restore-plan';

/** How the job of a restore ended. */
export interface EndedRestore {
  /** Null: nobody saw it. */
  readonly exit: number | null;
  /** Null: it printed none that can be read. */
  readonly facts: RestoreFacts | null;
  readonly stderr: string;
  /** What the host made of a restore whose script was gone; null: it was not asked, or could not tell. */
  readonly putRight: AbortReport['restore'];
}

/** What goes into the books. */
export interface RestoreSettlement {
  readonly state: 'succeeded' | 'failed' | 'cancelled';
  /** Stable; null when it succeeded. */
  readonly code: string | null;
  readonly sentence: string | null;
  /** Every disk was compared with its chain, and is the same; null: it did not come to that. */
  readonly identical: boolean | null;
  /** Whether the VM's volumes are others now; null: nobody knows. */
  readonly vmTouched: boolean | null;
  readonly warnings: readonly string[];
}

/** What a restore came to. Nothing but a comparison of every disk makes it a success, or of what could be read of it where it was salvaged. */
export function settleRestore(plan: RestorePlan, { exit, facts, stderr, putRight }: EndedRestore): RestoreSettlement {
  const { way, disks, accepted } = plan;
  const vmTouched = way === 'in-place' ? touched(facts, putRight) : false;
  const compared = disks.map(({ target }) => facts?.disks.find((disk) => disk.target === target)?.identical ?? null);
  const identical = compared.includes(false) ? false : compared.includes(null) ? null : true;
  const common = {
    identical,
    vmTouched,
    warnings: [
      ...(facts?.damaged ?? []),
      ...(facts?.cleanup.left ?? []).map((left) => `left behind on the host: ${left}`),
      ...notHashed(facts),
    ],
  };
  const failed = (code: string, sentence: string): RestoreSettlement => ({
    ...common,
    state: code === 'job-cancelled' ? 'cancelled' : 'failed',
    code,
    sentence,
  });
  if (exit === null)
    return failed('outcome-lost', `The host script ended without leaving an exit code; ${WAS_PUT[putRight ?? 'not']}.`);
  if (facts === null) return failed('restore-silent', `The host script left no facts (exit ${exit}): ${lastWords(stderr)}`);
  if (facts.error !== null) return failed(facts.error.code, facts.error.message);
  if (exit !== 0) return failed('script-failed', `The host script ended with exit ${exit}: ${lastWords(stderr)}`);
  // Zeroes that stand for what nobody can read have nothing to be compared with: a salvage says how many, in a warning.
  const salvaged = accepted?.level === 'broken' && disks.every(({ target }) => isComparedOrUnread(facts, target));
  if (identical !== true && !salvaged)
    return failed('restore-not-compared', 'The host script ended well, but not every disk was compared with its chain.');
  const missing = missingOf(plan, facts);
  if (missing !== null) return failed('restore-incomplete', `The host script ended well, but ${missing}.`);
  return { ...common, state: 'succeeded', code: null, sentence: null };
}

function isComparedOrUnread(facts: RestoreFacts, target: string): boolean {
  const disk = facts.disks.find((each) => each.target === target);
  return disk?.identical === true || (disk?.identical === null && (disk.unread ?? 0) > 0);
}

const WAS_PUT: Readonly<Record<'rolled-back' | 'finished' | 'not', string>> = {
  'rolled-back': 'what it had begun was put back',
  finished: 'every disk had been put in place, and stays there',
  not: 'what became of the disks is not known',
};

/** Whether the VM's volumes are others now; null: nobody knows. */
function touched(facts: RestoreFacts | null, putRight: EndedRestore['putRight']): boolean | null {
  if (facts === null) return putRight === null ? null : putRight === 'finished';
  if (facts.swapped || facts.disks.some(({ swapped }) => swapped)) return true;
  // What it could not put back may be a volume.
  return facts.cleanup.ok ? false : null;
}

/** What was asked for and is not there, though no error was told. */
function missingOf({ way, newName, attachTo }: RestorePlan, { swapped, domain, attached }: RestoreFacts): string | null {
  if (way === 'in-place' && !swapped) return 'the VM still has its old volumes';
  if (newName !== null && domain?.name !== newName) return `there is no VM ${newName}`;
  if (attachTo !== null && attached?.vm !== attachTo) return `the disk is not attached to ${attachTo}`;
  return null;
}

/** A comparison shows that the disk is what the files say; that the files are what was written only their checksums show. */
function notHashed(facts: RestoreFacts | null): string[] {
  return (facts?.disks ?? []).flatMap(({ target, links, hashed }) =>
    links === null || links === (hashed ?? 0)
      ? []
      : [`${target}: not hashed: ${links - (hashed ?? 0)} of the ${links} files it was read from have no checksum yet`],
  );
}

const lastWords = (text: string): string => text.trim().slice(-500) || 'it said nothing';
