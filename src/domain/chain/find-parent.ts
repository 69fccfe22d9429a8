import type { BookedBackup, Books } from './booked-backup';
import { readChainKeys } from './chain-keys';
import { obstacle, type Obstacle } from './obstacle';
import { readChain, type ChainLink } from './read-chain';

/** The backup that an incremental would build on. */
export interface Parent {
  readonly backup: BookedBackup;
  readonly link: ChainLink;
  readonly bitmap: string;
  readonly chainId: string;
  readonly position: number;
}

/** Of these rows nothing is left: they can be nobody's parent and do not count as one that is not ready. */
const GONE: ReadonlySet<string> = new Set(['Removed', 'Expunged']);

/**
 * The newest finished backup, if it has what a parent needs; else why there is no parent.
 * Newer rows that failed are passed over: their checkpoints were discarded and the parent's bitmap went on recording.
 */
export function findParent(books: Books): Parent | Obstacle {
  const rows = books.backups
    .filter(({ status }) => !GONE.has(status))
    .map((backup) => ({ backup, ...readChainKeys(backup.details, backup) }));
  const owner = rows.find(({ keys }) => keys.bitmapName !== null && keys.bitmapName === books.activeCheckpointId);
  const newest = rows.find(({ backup }) => backup.status === 'BackedUp');
  if (newest === undefined || (owner !== undefined && owner.backup.status !== 'BackedUp')) {
    const unfinished = owner ?? rows.find(({ keys }) => keys.bitmapName !== null);
    if (unfinished === undefined) return obstacle('no-parent', null, 'the books hold no finished backup of the VM');
    return obstacle('parent-not-backed-up', null, `backup ${unfinished.backup.uuid} is ${unfinished.backup.status}`);
  }
  const { backup, keys, findings } = newest;
  const odd = findings.filter(({ code }) => code === 'contradiction' || code === 'malformed' || code === 'type-mismatch');
  if (odd.length > 0) {
    return obstacle(
      'parent-unproven',
      null,
      odd.map(({ code, key, detail }) => `${key} of backup ${backup.uuid}: ${code}, ${detail}`).join('; '),
    );
  }
  if (keys.bitmapName === null) return obstacle('bitmap-unconfirmed', null, `backup ${backup.uuid} has no confirmed bitmap`);
  if (keys.chainId === null || keys.position === null) {
    return obstacle('parent-unproven', null, `backup ${backup.uuid} has a bitmap, but no place in a chain`);
  }
  const link = readChain(keys.chainId, books.backups).links.find((other) => other.backup === backup);
  if (link === undefined) return obstacle('parent-unproven', null, `backup ${backup.uuid} is not in its own chain`);
  return { backup, link, bitmap: keys.bitmapName, chainId: keys.chainId, position: keys.position };
}
