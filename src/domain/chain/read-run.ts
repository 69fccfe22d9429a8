import type { BackupMode, Facts, InspectFacts } from '../agent/facts';
import { diskFileName } from './backup-names';
import type { BackupPlan } from './backup-plan';
import type { BookedDisk } from './booked-backup';
import { illnessOf } from './check-bitmaps';
import { isFullReason, type Reason } from './reasons';
import type { Answer, Recreation } from './settlement';

/** What the host says of a recreation. Only our facts can say how, and only of the bitmap that the plan is about. */
export function readRecreation(plan: BackupPlan, { bitmapRecreated }: Answer, facts: Facts | null): Recreation | null {
  const method = facts?.done.recreateMethod ?? null;
  const parentBitmap = plan.parent?.bitmap ?? null;
  const bitmap = bitmapRecreated ?? (method === null ? null : (parentBitmap ?? facts?.asked.bitmapParent ?? null));
  if (bitmap === null) return null;
  return { bitmap, method: method !== null && bitmap === parentBitmap ? method : 'unknown' };
}

/** What was made in the end: the script may take a full where an incremental was planned, or one without a bitmap. */
export function madeKind(plan: BackupPlan, { incrementalFallback }: Answer, facts: Facts | null): BackupMode {
  if (plan.kind === 'legacy-full' && facts?.done.mode !== 'incremental') return 'legacy-full';
  if (facts !== null && facts.done.mode !== 'none') return facts.done.mode;
  return incrementalFallback ? 'full' : plan.kind;
}

/**
 * The new bitmap if the host confirmed it: by its answer and, where there are facts, by them too. What a stock script says is believed
 * until a look contradicts it, but of a stopped VM, and where the script says nothing, only a look counts.
 */
export function confirmedBitmap(
  { bitmapNew, disks }: BackupPlan,
  { bitmapCreated, bitmapClaimed, runPath }: Answer,
  facts: Facts | null,
  after: InspectFacts | null,
): string | null {
  if (bitmapNew === null) return null;
  if (facts !== null) return bitmapCreated === bitmapNew && facts.done.bitmapNew === bitmapNew ? bitmapNew : null;
  if (after !== null)
    return [bitmapCreated, bitmapClaimed].includes(bitmapNew) && isOnEvery(disks, after, bitmapNew) ? bitmapNew : null;
  return bitmapCreated === bitmapNew && runPath === 'running' ? bitmapNew : null;
}

const isOnEvery = (disks: BackupPlan['disks'], seen: InspectFacts, bitmap: string): boolean =>
  disks.every(({ target, path }) => {
    const disk = seen.disks.find((one) => one.target === target || (path !== null && one.path === path));
    return disk !== undefined && illnessOf(disk.bitmaps, bitmap) === null;
  });

/** The reason of what was made: the plan's, or that of the script where it changed the plan. */
export function reasonOf(plan: BackupPlan, made: BackupMode, facts: Facts | null, recreation: Recreation | null): Reason {
  if (made === 'incremental') {
    // Without facts nobody said whether the bitmap had to be made good; the plan knew whether it would.
    if (facts === null) return plan.reason;
    return recreation === null || recreation.method === 'unknown' ? 'regular' : recreation.method;
  }
  if (made === plan.kind) return plan.reason;
  const told = facts?.done.reason ?? null;
  if (isFullReason(told)) return told;
  return facts?.vm.state === 'shut off' ? 'vm-stopped' : 'bitmap-unconfirmed';
}

/** The disks for the books: from the facts of the run; without them what the inspection saw, and the names that every script gives its files. */
export function bookedDisks({ disks }: BackupPlan, facts: Facts | null): BookedDisk[] {
  return disks.map(({ target, deviceId, path, inode, format, virtualSize }) => {
    const ran = facts?.disks.find((disk) => disk.target === target);
    return ran === undefined
      ? { target, deviceId, path, inode, format, virtualSize, file: diskFileName(deviceId, path) }
      : {
          target,
          deviceId,
          format,
          path: ran.path ?? path,
          inode: ran.inode ?? inode,
          virtualSize: ran.virtualSize ?? virtualSize,
          file: ran.file,
        };
  });
}
