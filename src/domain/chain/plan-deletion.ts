import { ASSURANCES, type Assurance } from './assurance';
import type { BookedBackup } from './booked-backup';
import { readChainKeys } from './chain-keys';
import { type ChainLink, readChains } from './read-chain';
import { refusal, type Refusal } from './refusal';
import { type RestorePoint, restorePoints } from './restore-points';

/** What is to go. */
export interface DeletionRequest {
  /** Uuid of the backup. */
  readonly backup: string;
  /** Its whole chain goes with it. */
  readonly forced: boolean;
  /** It may be the VM's last restore point, or the best that it has. */
  readonly acceptLoss: boolean;
}

/** Somebody said that a backup must stay. */
export interface Protection {
  readonly backup: string;
  /** Epoch seconds; null: until it is taken back. */
  readonly until: number | null;
  readonly by: string;
  readonly why: string;
}

/** The books of the VM, as far as a deletion needs them. */
export interface DeletionBooks {
  /** All that is not removed. */
  readonly backups: readonly BookedBackup[];
  readonly activeCheckpointId: string | null;
  /** Those that hold now. */
  readonly protections: readonly Protection[];
  /**
   * The books were brought back from a copy of this moment (RFC 3339), and nobody has compared them with the NAS since: what was taken
   * later they do not know. Null: they know all.
   */
  readonly notComparedSince: string | null;
}

/** One step of a deletion; they are taken in their order. */
export type DeletionStep =
  /** No restore point any more; its files stay for the links above it, or until they are removed. */
  | { readonly kind: 'hide'; readonly backup: string; readonly why: string }
  /** The VM's next backup is a full; the bitmap is dropped on the host. */
  | { readonly kind: 'close-chain'; readonly backup: string; readonly bitmap: string; readonly why: string }
  /** Its directory on the NAS goes, then its row. */
  | {
      readonly kind: 'remove';
      readonly backup: string;
      readonly externalId: string | null;
      /** Bytes on the NAS. */
      readonly bytes: number;
      readonly why: string;
    };

/** What a deletion does, in order, and what it costs. */
export interface DeletionPlan {
  readonly kind: 'deletion';
  readonly backup: string;
  readonly steps: readonly DeletionStep[];
  /** Restore points that are no more afterwards. */
  readonly pointsLost: readonly string[];
  /** Restore points that the VM has afterwards. */
  readonly pointsLeft: number;
  /** Bytes on the NAS. */
  readonly bytesFreed: number;
}

/** Nothing of these is finished: somebody is at it. */
const BUSY: ReadonlySet<string> = new Set(['Allocated', 'Queued', 'BackingUp', 'Restoring']);

/**
 * What goes when a backup is deleted. A link that others stand on stays, hidden; when the last of those has gone it goes too. No
 * step ever takes an ancestor from under a link that lives, and no order of steps that is cut short does: what such a one has left
 * hidden goes along with the next.
 */
export function planDeletion(request: DeletionRequest, books: DeletionBooks): DeletionPlan | Refusal {
  const target = books.backups.find(({ uuid }) => uuid === request.backup);
  const chains = readChains(books.backups).map(({ links }) => links);
  const own = chains.find((links) => links.some(({ backup }) => backup === target));
  const whole = request.forced && own !== undefined ? own : [];
  const wanted = whole.length > 0 ? whole.map(({ backup }) => backup) : target === undefined ? [] : [target];
  const going = chains.flatMap((links) => carryNothing(links, wanted));
  if (target !== undefined && own === undefined) going.unshift(target);
  const stays = wanted.filter((backup) => !going.includes(backup));
  return whyNot(request, [...stays, ...going], books) ?? plan(request, stays, going, books);
}

function plan(
  request: DeletionRequest,
  stays: readonly BookedBackup[],
  going: readonly BookedBackup[],
  books: DeletionBooks,
): DeletionPlan {
  const hidden = [...stays, ...going].filter(isPoint);
  const after = restorePoints(without(books.backups, hidden));
  const left = new Set(after.map(({ backup }) => backup.uuid));
  const why = ({ uuid, status }: BookedBackup): string => {
    if (uuid === request.backup) return 'it is to be deleted';
    return status === 'Hidden' ? 'it was hidden, and nothing stands on it any more' : 'its whole chain is to be deleted';
  };
  return {
    kind: 'deletion',
    backup: request.backup,
    steps: [
      ...hidden.map((backup): DeletionStep => ({
        kind: 'hide',
        backup: backup.uuid,
        why: stays.includes(backup)
          ? `${why(backup)}, and other links stand on it: its files stay until those have gone`
          : `${why(backup)}: nobody may restore it or build on it meanwhile`,
      })),
      ...[...stays, ...going].flatMap((backup): DeletionStep[] => {
        const bitmap = bitmapOf(backup);
        if (bitmap === null || bitmap !== books.activeCheckpointId) return [];
        return [{ kind: 'close-chain', backup: backup.uuid, bitmap, why: 'the next incremental would have been built on it' }];
      }),
      ...going.map((backup): DeletionStep => ({
        ...{ kind: 'remove', backup: backup.uuid, externalId: backup.externalId, bytes: backup.size ?? 0, why: why(backup) },
      })),
    ],
    pointsLost: restorePoints(books.backups).flatMap(({ backup }) => (left.has(backup.uuid) ? [] : [backup.uuid])),
    pointsLeft: after.length,
    bytesFreed: going.reduce((sum, { size }) => sum + (size ?? 0), 0),
  };
}

/** Of those that are wanted and of those that are hidden already: the ones that no link which stays may stand on, the last one first. */
function carryNothing(links: readonly ChainLink[], wanted: readonly BookedBackup[]): BookedBackup[] {
  const staying = new Set(links.filter(({ backup }) => !wanted.includes(backup) && backup.status !== 'Hidden'));
  for (const link of staying) for (const lower of links) if (mayStandOn(link, lower)) staying.add(lower);
  return [...links].reverse().flatMap((link) => (staying.has(link) ? [] : [link.backup]));
}

/** Where the books do not lead from a link down to its full, it may stand on any that lies lower. */
function mayStandOn(link: ChainLink, lower: ChainLink): boolean {
  if (link.ancestors !== null) return link.ancestors.includes(lower.backup);
  return (link.keys.position ?? Infinity) > (lower.keys.position ?? -1);
}

function whyNot(request: DeletionRequest, touched: readonly BookedBackup[], books: DeletionBooks): Refusal | null {
  const busy = touched.find(({ status }) => BUSY.has(status));
  if (busy !== undefined)
    return refusal(
      'deletion.busy',
      'busy',
      `Backup ${busy.uuid} is ${busy.status}: somebody is at it.`,
      'Wait for the run to end.',
    );
  const held = books.protections.find(({ backup }) => touched.some(({ uuid }) => uuid === backup));
  if (held !== undefined)
    return refusal(
      'deletion.protected',
      'refused',
      `Backup ${held.backup} is protected${held.until === null ? '' : ` until ${new Date(held.until * 1000).toISOString()}`} by ${held.by}: ${held.why}`,
      'Take the protection back first, if you may.',
    );
  if (request.acceptLoss) return null;
  if (books.notComparedSince !== null && touched.length > 0)
    return refusal(
      'deletion.not-compared',
      'refused',
      `The books of the VM were brought back from a copy of ${books.notComparedSince}, and nobody has compared them with the NAS since: what was taken after that may stand on what would go, and be lost with it.`,
      'Compare them (docs/books-backup.md) and say so: chainkeeper books compared VM; or accept the loss (--accept-loss).',
    );
  const before = restorePoints(books.backups);
  const after = restorePoints(without(books.backups, touched));
  if (before.length > 0 && after.length === 0)
    return refusal(
      'deletion.last-point',
      'refused',
      'Nothing that can be restored would be left of the VM.',
      'Take another backup first, or accept the loss (--accept-loss).',
    );
  if (best(after) < best(before))
    return refusal(
      'deletion.best-point',
      'refused',
      `The best restore points of the VM would go: ${ASSURANCES[best(before)]} now, ${ASSURANCES[best(after)]} afterwards.`,
      'Take another backup first, or accept the loss (--accept-loss).',
    );
  return null;
}

/** Of the other statuses nothing can be restored, so there is nothing to hide. */
const isPoint = ({ status }: BookedBackup): boolean => status === 'BackedUp';

/** The books as they are once these are hidden; those that stand on them are not touched by it. */
const without = (backups: readonly BookedBackup[], hidden: readonly BookedBackup[]): BookedBackup[] =>
  backups.map((backup) => (hidden.includes(backup) && isPoint(backup) ? { ...backup, status: 'Hidden' } : backup));

const best = (points: readonly RestorePoint[]): number =>
  Math.max(-1, ...points.map(({ assurance }) => ASSURANCES.indexOf(assurance satisfies Assurance)));

const bitmapOf = (backup: BookedBackup): string | null => readChainKeys(backup.details, backup).keys.bitmapName;
