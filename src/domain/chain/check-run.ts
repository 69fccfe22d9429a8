import type { BackupMode, DiskFacts, Facts } from '../agent/facts';
import { isName } from '../agent/names';
import { resolveBacking } from './backup-names';
import type { BackupPlan, PlannedDisk } from './backup-plan';

/** Why a run that claims success is none. */
export interface RunFault {
  /** Stable. */
  readonly code: string;
  readonly sentence: string;
}

/**
 * What must hold, besides a known size, before a backup may be called one: every disk of the plan has its file, the file's
 * backing file is the parent's, and qemu-img found no error in it. A stock script tells none of this but the size.
 */
export function checkRun(plan: BackupPlan, made: BackupMode, facts: Facts | null): RunFault | null {
  if (made === 'incremental' && plan.kind !== 'incremental')
    return fault('mode-contradicts-plan', `The plan was ${plan.kind}, and the host made an incremental.`);
  return facts === null ? null : (checkReport(plan, facts) ?? checkFiles(plan, made, facts));
}

function checkReport(plan: BackupPlan, { vm, error, done, job }: Facts): RunFault | null {
  if (error !== null) return fault(error.code, error.message);
  if (vm.name !== null && vm.name !== plan.vm) return fault('wrong-vm', `The facts are about ${vm.name}, not about ${plan.vm}.`);
  if (done.mode === 'none') return fault('nothing-done', 'The host script says that it made no backup.');
  // The job of a pull is aborted when its reader has finished, and a stopped VM has none.
  if (done.transfer !== 'pull' && done.transfer !== 'offline' && job?.result !== 'completed') {
    return fault('job-not-completed', `The backup job is not known to have completed: ${job?.result ?? 'nothing reported'}.`);
  }
  return null;
}

function checkFiles(plan: BackupPlan, made: BackupMode, { disks }: Facts): RunFault | null {
  const planned = plan.disks
    .map(({ target }) => target)
    .sort()
    .join(', ');
  const seen = disks
    .map(({ target }) => target)
    .sort()
    .join(', ');
  if (planned !== seen) return fault('disks-differ', `The plan is for ${planned}, the host backed up ${seen || 'nothing'}.`);
  if (new Set(disks.map(({ file }) => file)).size !== disks.length)
    return fault('file-missing', 'Two disks are said to lie in one file.');
  for (const disk of plan.disks) {
    const found = disks.find(({ target }) => target === disk.target);
    const wrong = found === undefined ? null : checkFile(plan.backupPath, made, disk, found);
    if (wrong !== null) return wrong;
  }
  return null;
}

function checkFile(
  directory: string,
  made: BackupMode,
  planned: PlannedDisk,
  { file, backing, check }: DiskFacts,
): RunFault | null {
  const { target, parentFile } = planned;
  if (file === null || !isName('file', file)) return fault('file-missing', `Disk ${target} has no file in the backup.`);
  const expected = made === 'incremental' ? parentFile : null;
  const actual = backing === null ? null : resolveBacking(directory, backing);
  if (actual !== expected || (expected === null) !== (backing === null)) {
    return fault(
      'wrong-backing',
      `The file of disk ${target} stands on ${backing ?? 'nothing'}, and must stand on ${expected ?? 'nothing'}.`,
    );
  }
  if (check !== 'ok')
    return fault('check-failed', `The file of disk ${target} is not known to be sound: check ${check ?? 'not reported'}.`);
  return null;
}

function fault(code: string, sentence: string): RunFault {
  return { code, sentence };
}
