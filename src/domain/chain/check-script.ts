import type { HostScript } from '../agent/build-argv';
import type { DecideInput } from './decide-input';
import { obstacle, type Obstacle } from './obstacle';

/** A legacy script knows neither bitmaps nor modes. */
export function checkBitmaps({ script }: DecideInput): Obstacle[] {
  return script.dialect === 'legacy'
    ? [obstacle('script-unsupported', null, 'the legacy script takes nothing but whole copies')]
    : [];
}

/** The seed's one parent path is the first disk's: it would hang the deltas of all other disks on that file too. */
export function checkParentPaths({ script, facts }: DecideInput): Obstacle[] {
  return script.kind === 'stock' && script.dialect === 'seed' && facts.disks.length > 1
    ? [obstacle('script-unsupported', null, 'the seed script takes one parent file, and the VM has several disks')]
    : [];
}

/**
 * Whether a script registers a surviving bitmap with libvirt again, exactly. The seed's fails on one that is there, mid's drops it
 * and puts an empty one in its place.
 */
export const repairs = ({ kind, dialect }: HostScript): boolean => kind === 'ours' || dialect === 'final';
