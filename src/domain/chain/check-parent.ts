import { isName } from '../agent/names';
import type { BookedBackup, Books } from './booked-backup';
import type { DecideInput } from './decide-input';
import type { Parent } from './find-parent';
import { obstacle, type Obstacle } from './obstacle';
import { isRecreatedBlindly } from './read-chain';
import { readChainKeys } from './chain-keys';

/** When the VM was restored after a backup of it was taken; null: it was not. */
export function restoredSince({ restoredAt }: Pick<Books, 'restoredAt'>, { date }: Pick<BookedBackup, 'date'>): string | null {
  if (restoredAt === null || (date !== null && restoredAt < date)) return null;
  return `the VM was restored at epoch ${restoredAt}, the parent is of ${date ?? 'an unknown time'}`;
}

/** What the books, the policy and the parent's files say against an incremental on this parent; the first thing found. */
export function checkParent(input: DecideInput, parent: Parent): Obstacle[] {
  const found =
    checkAge(input, parent) ??
    checkPlace(input, parent) ??
    checkWorth(input, parent) ??
    checkFiles(parent) ??
    checkActive(input, parent);
  return found === null ? [] : [found];
}

function checkAge({ policy, now }: DecideInput, { position }: Parent): Obstacle | null {
  if (policy.fullEvery !== null && position + 1 >= policy.fullEvery) {
    return obstacle(
      'chain-length',
      null,
      `the chain has ${position + 1} links, and a full is due every ${policy.fullEvery} backups`,
    );
  }
  if (policy.fullDueAt !== null && policy.fullDueAt <= now) {
    return obstacle('full-due', null, `a full has been due since epoch ${policy.fullDueAt}`);
  }
  return null;
}

function checkPlace({ repositoryId }: DecideInput, { backup }: Parent): Obstacle | null {
  if (backup.repositoryId !== repositoryId) {
    return obstacle(
      'repository-changed',
      null,
      `the parent lies in ${backup.repositoryId ?? 'an unknown repository'}, this backup goes to ${repositoryId}`,
    );
  }
  return null;
}

function checkWorth({ policy }: DecideInput, { backup, link }: Parent): Obstacle | null {
  const closed = [backup, ...(link.ancestors ?? [])].find((other) =>
    isRecreatedBlindly(other, readChainKeys(other.details).keys),
  );
  if (closed !== undefined) {
    return obstacle(
      'parent-unproven',
      null,
      `the chain is closed: before backup ${closed.uuid} a bitmap was recreated, and the host did not say how`,
    );
  }
  const needed = policy.acceptUnprovenParent ? ['unproven', 'accounted', 'proven'] : ['accounted', 'proven'];
  if (!needed.includes(link.pointAssurance)) return obstacle('parent-unproven', null, `the parent is ${link.pointAssurance}`);
  return null;
}

function checkFiles({ backup, link }: Parent): Obstacle | null {
  if (!link.restorable)
    return obstacle('parent-file-missing', null, 'the books do not hold every file from the parent down to its full');
  if (backup.externalId === null) return obstacle('parent-file-missing', null, 'the books do not know where the parent lies');
  const nameless = backup.disks.find(({ file }) => file === null || !isName('file', file));
  return nameless === undefined
    ? null
    : obstacle('parent-file-missing', nameless.target, 'the books do not know the name of the parent’s file');
}

function checkActive({ books }: DecideInput, { backup, bitmap }: Parent): Obstacle | null {
  const { activeCheckpointId } = books;
  if (activeCheckpointId === null) {
    const restored = restoredSince(books, backup);
    return restored === null
      ? obstacle('bitmap-unconfirmed', null, 'the VM has no active checkpoint')
      : obstacle('restored-since', null, restored);
  }
  return activeCheckpointId === bitmap
    ? null
    : obstacle('lineage-mismatch', null, `the active checkpoint is ${activeCheckpointId}, the parent's bitmap is ${bitmap}`);
}
