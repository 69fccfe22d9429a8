import { isName } from '../agent/names';
import { InvariantError } from '../errors';

/** Last second of the year 9999: beyond it the directory name would no longer have its shape. */
const LAST_EPOCH = 253_402_300_799;

/** The bitmap and checkpoint name that belongs to an epoch (seconds). */
export function bitmapName(epoch: number): string {
  return `backup-${epoch}`;
}

/** The directory of a backup on the NAS, `<vm>/<yyyy.MM.dd.HH.mm.ss>` in UTC. */
export function backupPath(vm: string, epoch: number): string {
  return `${vm}/${new Date(epoch * 1000).toISOString().slice(0, 19).replace(/[-T:]/g, '.')}`;
}

/**
 * The epoch (seconds) that names the next bitmap and directory of a VM: now, but always later than the last one used,
 * so that neither a clock that went back nor two runs in one second give a name twice.
 * @param isTaken tells of names that are in use although the books do not remember them.
 * @throws InvariantError `chain.bad-epoch` when the clock is beyond what a name can carry.
 */
export function nextEpoch(now: number, lastUsed: number | null, isTaken: (epoch: number) => boolean): number {
  let epoch = Math.max(Math.floor(now), lastUsed === null ? -Infinity : lastUsed + 1);
  if (!(epoch >= 0 && epoch <= LAST_EPOCH)) {
    throw new InvariantError('chain.bad-epoch', 'The time is outside of what a backup name can carry.', {
      facts: { now, lastUsed },
    });
  }
  while (isTaken(epoch)) epoch += 1;
  return epoch;
}

/**
 * The file name that the host scripts give a disk: `root.` for the first disk, `datadisk.` for the others, then the
 * base name of the disk's path. Null where the path gives no usable name.
 */
export function diskFileName(deviceId: number, path: string | null): string | null {
  const base = path?.split('/').at(-1) ?? '';
  const name = `${deviceId === 0 ? 'root' : 'datadisk'}.${base}.qcow2`;
  return base !== '' && isName('file', name) ? name : null;
}

/**
 * Where a relative backing file leads, as a path from the root of the NAS.
 * Null when it is absolute, leaves the NAS, or is empty: then it leads to nothing that we wrote.
 */
export function resolveBacking(directory: string, backing: string): string | null {
  if (backing === '' || backing.startsWith('/')) return null;
  const steps = directory.split('/');
  for (const step of backing.split('/')) {
    if (step === '' || step === '.') continue;
    if (step !== '..') steps.push(step);
    else if (steps.pop() === undefined) return null;
  }
  return steps.join('/');
}
