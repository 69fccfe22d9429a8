import type { InspectedDisk } from '../agent/facts';
import type { BookedDisk } from './booked-backup';
import { restoredSince } from './check-parent';
import type { DecideInput } from './decide-input';
import type { Parent } from './find-parent';
import { obstacle, type Obstacle } from './obstacle';

/** Every disk of the VM must be in the parent, now and in every inspection since, and the other way round. */
export function checkDiskSet({ facts, books }: DecideInput, { backup }: Parent): Obstacle[] {
  if (backup.disks.length === 0)
    return [obstacle('lineage-mismatch', null, 'the books hold no facts on the disks of the parent')];
  const booked = targets(backup.disks);
  // An inspection without any disk is one that saw nothing, not one that saw the disks gone.
  const changed = [...books.inspections, facts].find(({ disks }) => disks.length > 0 && targets(disks) !== booked);
  return changed === undefined
    ? []
    : [
        obstacle(
          'disk-set-changed',
          null,
          `the parent has ${booked}, the VM ${changed === facts ? 'has' : 'had'} ${targets(changed.disks)}`,
        ),
      ];
}

/**
 * Bits beyond the end of a disk that shrinks are dropped, and growing back brings none of them: the parent's old data
 * would reappear. Growing alone is exact, but two sizes do not show what lay between them: only a complete record does.
 */
export function checkSizes(input: DecideInput, { backup }: Parent): Obstacle[] {
  return backup.disks.flatMap((disk) => checkSize(input, disk) ?? []);
}

function checkSize({ books, facts }: DecideInput, { target, virtualSize }: BookedDisk): Obstacle | null {
  const seen = [...books.inspections, facts].flatMap(({ disks }) =>
    disks.filter((disk) => disk.target === target).map((disk) => disk.virtualSize),
  );
  const now = seen.at(-1) ?? null;
  if (virtualSize === null || now === null) return obstacle('disk-resize-unknown', target, 'its size is not known');
  const resizes = books.resizes.filter((resize) => resize.target === target);
  const sizes = [...seen, ...resizes.flatMap(({ from, to }) => [from, to])].filter((size) => size !== null);
  const smallest = Math.min(...sizes);
  if (smallest < virtualSize)
    return obstacle('disk-shrunk', target, `it had ${virtualSize} bytes in the parent and ${smallest} since`);
  if (sizes.every((size) => size === virtualSize)) return null;

  const recorded = [virtualSize, ...resizes.map(({ to }) => to)];
  const complete = resizes.every(({ from }, index) => from === recorded[index]) && recorded.at(-1) === now;
  return complete && sizes.every((size) => recorded.includes(size))
    ? null
    : obstacle(
        'disk-resize-unknown',
        target,
        `it had ${virtualSize} bytes in the parent and has ${now} now; not every step between is known`,
      );
}

/** After a restore no bitmap tells what changed since the parent: comparing the disks with their chain does. */
export function checkRestored({ books, facts }: DecideInput, { backup }: Parent): Obstacle[] {
  const restored = restoredSince(books, backup);
  return restored === null ? [] : facts.disks.map(({ target }) => obstacle('restored-since', target, restored));
}

/** The disk must be the very file that the parent was taken from, now and in every inspection since. */
export function checkIdentity({ books, facts }: DecideInput, { backup }: Parent): Obstacle[] {
  return backup.disks.flatMap((booked) => {
    const now = facts.disks.find(({ target }) => target === booked.target);
    if (booked.path === null || booked.inode === null || now === undefined || now.path === null || now.inode === null) {
      return [obstacle('lineage-mismatch', booked.target, 'its path and inode are not known both in the books and on the host')];
    }
    const before = books.inspections.flatMap(({ disks }) => disks.filter(({ target }) => target === booked.target));
    const other = [now, ...before].find((seen) => !isSameFile(seen, booked));
    if (other === undefined) return [];
    return [
      obstacle(
        'lineage-mismatch',
        booked.target,
        `it was ${booked.path} (inode ${booked.inode}) and ${other === now ? 'is' : 'was once'} ${other.path} (inode ${other.inode})`,
      ),
    ];
  });
}

function isSameFile(seen: InspectedDisk, booked: BookedDisk): boolean {
  return (seen.path === null || seen.path === booked.path) && (seen.inode === null || seen.inode === booked.inode);
}

function targets(disks: readonly { readonly target: string }[]): string {
  return disks
    .map(({ target }) => target)
    .sort()
    .join(', ');
}
