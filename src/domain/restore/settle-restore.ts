import type { RestoreFacts } from '../agent/read-restore';
import type { RestorePlan } from './restore-plan';

/** How the job of a restore ended. */
export interface EndedRestore {
  /** Null: nobody saw it. */
  readonly exit: number | null;
  /** Null: it printed none that can be read. */
  readonly facts: RestoreFacts | null;
  readonly stderr: string;
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
export function settleRestore({ way, disks, accepted }: RestorePlan, { exit, facts, stderr }: EndedRestore): RestoreSettlement {
  const inPlace = way === 'in-place';
  const vmTouched = inPlace ? (facts === null ? null : facts.swapped) : false;
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
    return failed(
      'outcome-lost',
      'The host script ended without leaving an exit code; what it had begun was put back, or finished where every disk had been swapped.',
    );
  if (facts === null) return failed('restore-silent', `The host script left no facts (exit ${exit}): ${lastWords(stderr)}`);
  if (facts.error !== null) return failed(facts.error.code, facts.error.message);
  if (exit !== 0) return failed('script-failed', `The host script ended with exit ${exit}: ${lastWords(stderr)}`);
  // Zeroes that stand for what nobody can read have nothing to be compared with: a salvage says how many, in a warning.
  const salvaged = accepted?.level === 'broken' && disks.every(({ target }) => isComparedOrUnread(facts, target));
  if (identical !== true && !salvaged)
    return failed('restore-not-compared', 'The host script ended well, but not every disk was compared with its chain.');
  if (inPlace && !facts.swapped)
    return failed('restore-not-swapped', 'The host script ended well, but the VM still has its old volumes.');
  return { ...common, state: 'succeeded', code: null, sentence: null };
}

function isComparedOrUnread(facts: RestoreFacts, target: string): boolean {
  const disk = facts.disks.find((each) => each.target === target);
  return disk?.identical === true || (disk?.identical === null && (disk.unread ?? 0) > 0);
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
