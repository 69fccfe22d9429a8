import type { DiskFacts, Facts, InspectedDisk, InspectFacts } from '../../domain/agent/facts';
import type { EvidenceDiskRow } from '../entities/evidence-disk-row';
import type { EvidenceRow } from '../entities/evidence-row';

/*
 * What of the facts gets a column of its own. A sum over the disks is known only when every disk's part is known, and a
 * number that JavaScript has already rounded (an inode of some NAS) is unknown: unknown is null, never a guess.
 */

type Measured = Omit<EvidenceRow, 'id' | 'vmId' | 'runId' | 'backupId' | 'kind' | 'at' | 'facts' | 'assurance'>;
type DiskColumns = Omit<EvidenceDiskRow, 'evidenceId'>;

/** The columns of a run's evidence. */
export function runColumns(facts: Facts, reason: string | null): Measured {
  return {
    ...whereAndWhen(facts),
    dirtyBytes: sum(facts.disks, ({ dirtyBefore }) => dirtyBefore),
    jobBytes: exact(facts.job?.processed),
    jobMs: exact(facts.job?.ms),
    ownBytes: sum(facts.disks, ({ ownData, ownZero }) => (ownData === null || ownZero === null ? null : ownData + ownZero)),
    writtenBytes: sum(facts.disks, ({ writtenBytes }) => writtenBytes),
    reason,
    recreateMethod: facts.done.recreateMethod,
  };
}

/** The columns of an inspection's evidence. */
export function inspectColumns(facts: InspectFacts, bitmap: string | null): Measured & { assurance: null } {
  return {
    ...whereAndWhen(facts),
    dirtyBytes: sum(facts.disks, (disk) => bitmapOf(disk, bitmap)?.dirtyBytes),
    jobBytes: null,
    jobMs: null,
    ownBytes: null,
    writtenBytes: sum(facts.disks, ({ writtenBytes }) => writtenBytes),
    reason: null,
    recreateMethod: null,
    assurance: null,
  };
}

/** One disk of a run. The dirty count is the parent bitmap's. */
export function diskOfRun(disk: DiskFacts, { asked }: Facts): DiskColumns {
  return {
    target: disk.target,
    path: disk.path,
    inode: exact(disk.inode),
    format: disk.format,
    virtualSize: exact(disk.virtualSize),
    clusterSize: exact(disk.clusterSize),
    method: disk.method,
    file: disk.file,
    backing: disk.backing,
    fileSize: exact(disk.fileSize),
    ownData: exact(disk.ownData),
    ownZero: exact(disk.ownZero),
    bitmap: asked.bitmapParent,
    dirtyBefore: exact(disk.dirtyBefore),
    granularity: exact(disk.parentBitmap?.granularity),
    writtenBytes: exact(disk.writtenBytes),
    checkResult: disk.check,
  };
}

/** One disk of an inspection. */
export function diskOfInspect(disk: InspectedDisk, bitmap: string | null): DiskColumns {
  const found = bitmapOf(disk, bitmap);
  return {
    target: disk.target,
    path: disk.path,
    inode: exact(disk.inode),
    format: disk.format,
    virtualSize: exact(disk.virtualSize),
    clusterSize: exact(disk.clusterSize),
    method: null,
    file: null,
    backing: null,
    fileSize: null,
    ownData: null,
    ownZero: null,
    bitmap: found?.name ?? null,
    dirtyBefore: exact(found?.dirtyBytes),
    granularity: exact(found?.granularity),
    writtenBytes: exact(disk.writtenBytes),
    checkResult: null,
  };
}

function whereAndWhen({
  host,
  vm,
}: Pick<Facts, 'host' | 'vm'>): Pick<Measured, 'hostName' | 'hostBootId' | 'vmState' | 'qemuStarted'> {
  const started = vm.qemuStarted === null ? NaN : Date.parse(vm.qemuStarted);
  return {
    hostName: host.name,
    hostBootId: host.bootId,
    vmState: vm.state,
    qemuStarted: Number.isNaN(started) ? null : new Date(started),
  };
}

const bitmapOf = (disk: InspectedDisk, name: string | null) => disk.bitmaps?.find((bitmap) => bitmap.name === name);

function exact(value: number | null | undefined): number | null {
  return value !== null && value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function sum<T>(disks: readonly T[], part: (disk: T) => number | null | undefined): number | null {
  if (disks.length === 0) return null;
  let total = 0;
  for (const disk of disks) {
    const bytes = exact(part(disk));
    if (bytes === null) return null;
    total += bytes;
  }
  return exact(total);
}
