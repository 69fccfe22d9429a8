import type { BitmapFacts, InspectedDisk } from '../agent/facts';
import { repairs } from './check-script';
import type { DecideInput } from './decide-input';
import type { Parent } from './find-parent';
import { obstacle, type Obstacle } from './obstacle';
import type { FullReason } from './reasons';

/** On every disk the parent's bitmap must be there, closed properly, recording, stored with the image, and free. */
export function checkHealth({ facts }: DecideInput, { bitmap }: Parent): Obstacle[] {
  return facts.disks.flatMap(({ target, bitmaps }) => {
    const illness = illnessOf(bitmaps, bitmap);
    return illness === null ? [] : [obstacle(illness.reason, target, illness.detail)];
  });
}

/**
 * A bitmap has no identity: one that was removed and made again looks the same. What cannot happen to ours gives such a
 * namesake away: another granularity, a dirty count that fell, or having been seen unwell and being well now.
 */
export function checkHistory({ facts, books }: DecideInput, { bitmap }: Parent): Obstacle[] {
  return facts.disks.flatMap((now) => {
    const before = books.inspections.flatMap(({ disks }) => disks.filter(({ target }) => target === now.target));
    const detail = wasUnwell(before, bitmap) ?? contradiction([...before, now], bitmap);
    return detail === null ? [] : [obstacle('lineage-mismatch', now.target, detail)];
  });
}

/** When libvirt has lost its record of the checkpoint, the script has to register the surviving bitmap again. */
export function needsRedefine({ facts }: DecideInput, { bitmap }: Parent): boolean {
  return !facts.checkpoints.includes(bitmap);
}

/** Only a script that registers the very bitmap again may be sent where the record is lost. */
export function checkRepair(input: DecideInput, parent: Parent): Obstacle[] {
  return needsRedefine(input, parent) && !repairs(input.script)
    ? [
        obstacle(
          'bitmap-unconfirmed',
          null,
          'libvirt has lost the checkpoint, and the script on the host cannot register it again',
        ),
      ]
    : [];
}

/** The bitmap of that name on a disk; undefined when it is not there or nothing could be read. */
export function bitmapOn(disk: InspectedDisk, name: string): BitmapFacts | undefined {
  return disk.bitmaps?.find((bitmap) => bitmap.name === name);
}

/** What keeps a bitmap from being a parent's. */
export type Illness = { readonly reason: FullReason; readonly detail: string };

/** What is wrong with the bitmap of that name; null when nothing is. */
export function illnessOf(bitmaps: readonly BitmapFacts[] | null, name: string): Illness | null {
  if (bitmaps === null) return { reason: 'bitmap-unconfirmed', detail: 'its bitmaps could not be read' };
  const bitmap = bitmaps.find((other) => other.name === name);
  if (bitmap === undefined) return { reason: 'bitmap-missing', detail: `it has no bitmap ${name}` };
  if (bitmap.inconsistent === true) return { reason: 'bitmap-inconsistent', detail: `bitmap ${name} is inconsistent` };
  if (bitmap.recording === false) return { reason: 'bitmap-not-recording', detail: `bitmap ${name} is not recording` };
  if (bitmap.persistent === false)
    return { reason: 'lineage-mismatch', detail: `bitmap ${name} is not persistent, and ours are` };
  if (bitmap.inconsistent === null || bitmap.recording === null || bitmap.persistent === null) {
    return { reason: 'bitmap-unconfirmed', detail: `the host does not know the whole state of bitmap ${name}` };
  }
  return bitmap.busy === true ? { reason: 'bitmap-unconfirmed', detail: `bitmap ${name} is in use by something else` } : null;
}

/** Unwell is only what was seen: a state that could not be read says nothing. */
function wasUnwell(before: readonly InspectedDisk[], name: string): string | null {
  for (const { bitmaps } of before) {
    const illness = illnessOf(bitmaps, name);
    if (illness !== null && illness.reason !== 'bitmap-unconfirmed') return `at an earlier inspection: ${illness.detail}`;
  }
  return null;
}

function contradiction(seen: readonly InspectedDisk[], name: string): string | null {
  const states = seen.flatMap((disk) => bitmapOn(disk, name) ?? []);
  const granularities = new Set(states.flatMap(({ granularity }) => granularity ?? []));
  if (granularities.size > 1) return `bitmap ${name} had granularities of ${[...granularities].join(' and ')} bytes`;
  const counts = states.flatMap(({ dirtyBytes }) => dirtyBytes ?? []);
  const fell = counts.findIndex((count, index) => index > 0 && count < (counts[index - 1] ?? 0));
  return fell === -1 ? null : `bitmap ${name} fell from ${counts[fell - 1]} to ${counts[fell]} dirty bytes`;
}
