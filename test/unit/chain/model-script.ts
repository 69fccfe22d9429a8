import type { DiskFacts, Facts } from '../../../src/domain/agent/facts';
import { resolveBacking } from '../../../src/domain/chain/backup-names';
import type { BackupPlan } from '../../../src/domain/chain/backup-plan';
import type { Answer } from '../../../src/domain/chain/settlement';
import { CLUSTER, type ModelDisk, type ModelVm } from './model-vm';
import { ran } from './situation';

/** A file on the NAS: its own clusters, and what it stands on. */
export interface ModelFile {
  readonly size: number;
  readonly own: ReadonlyMap<number, number>;
  readonly backing: string | null;
}
export type ModelNas = Map<string, ModelFile>;

/** What a file holds through its backing files. */
export function flatten(nas: ModelNas, path: string): number[] {
  const file = nas.get(path);
  if (file === undefined) throw new Error(`no file ${path}`);
  const under = file.backing === null ? [] : flatten(nas, file.backing);
  return Array.from({ length: file.size }, (_, index) => file.own.get(index) ?? under[index] ?? 0);
}

/** How a run goes wrong. */
export type Mishap =
  | 'none'
  | 'refused'
  | 'job-failed'
  | 'exit-lost'
  | 'facts-lost'
  | 'umount-busy'
  | 'check-skipped'
  | 'delta-short'
  | 'bitmap-on-one-disk'
  | 'no-scratch'
  | 'comparison-unseen';

/** What came of a run. `truth` is what somebody finds who asks the host later. */
export interface Ran {
  readonly answer: Answer;
  readonly facts: Facts | null;
  readonly truth: { readonly answer: Answer; readonly facts: Facts | null };
}

const FAILED: Answer = {
  result: false,
  size: null,
  bitmapCreated: null,
  bitmapClaimed: null,
  runPath: 'running',
  bitmapRecreated: null,
  incrementalFallback: false,
  needsCleanup: false,
  code: 'job-failed',
  warnings: [],
  exitCode: 1,
};

/** Our host script on the model: repairs exactly, falls back by itself, reports facts. */
export function runOurs(vm: ModelVm, nas: ModelNas, plan: BackupPlan, mishap: Mishap): Ran {
  if (mishap === 'refused') return told(FAILED, null);
  const bitmapParent = plan.parent?.bitmap ?? '';
  const planned = ({ target }: ModelDisk) => plan.disks.find((disk) => disk.target === target);
  const lost = vm.disks.filter((disk) => planned(disk)?.mode === 'rescued' || !isHealthy(disk.bitmaps.get(bitmapParent)));
  const rescuable = plan.onLostBitmap === 'rescue' && mishap !== 'no-scratch' && lost.every((disk) => planned(disk)?.parentFile);
  const possible = vm.isUp && (lost.length === 0 || rescuable);
  const mode = plan.kind === 'incremental' && !possible ? 'full' : plan.kind;
  const rescued = new Set(mode === 'incremental' ? lost : []);
  const goesByBitmap = mode === 'incremental' && rescued.size < vm.disks.length;
  const redefined = goesByBitmap && !vm.checkpoints.has(bitmapParent);
  if (redefined) vm.checkpoints.add(bitmapParent);
  const repaired = redefined || rescued.size > 0;
  const before = new Map(vm.disks.map((disk) => [disk.target, disk.bitmaps.get(bitmapParent)?.dirty.size ?? 0]));
  const disks = vm.disks.map((disk, index) =>
    store(
      nas,
      plan,
      disk,
      index,
      mode !== 'incremental' ? null : rescued.has(disk) ? 'rescue' : bitmapParent,
      mode === 'incremental' && !rescued.has(disk) && mishap === 'delta-short' && index === 0,
    ),
  );
  const seeded = addBitmaps(vm, plan.bitmapNew, mishap === 'bitmap-on-one-disk');
  if (mishap === 'job-failed') {
    // libvirt deletes the targets and leaves the new checkpoint; the script may not get to take it back.
    for (const { file } of disks) nas.delete(`${plan.backupPath}/${file}`);
    return told({ ...FAILED, bitmapRecreated: repaired ? bitmapParent : null }, null);
  }
  const bitmapNew = seeded ? plan.bitmapNew : null;
  const reason = mode === plan.kind ? null : vm.isUp ? 'bitmap-missing' : 'vm-stopped';
  const facts = ran(plan, {
    vm: { state: vm.state, qemuStarted: null },
    done: {
      mode,
      transfer: !vm.isUp ? 'offline' : rescued.size > 0 ? 'pull' : 'push',
      transferReason: null,
      reason,
      recreateMethod: rescued.size > 0 ? 'rescued' : redefined ? 'redefined' : null,
      rescueRefused: mishap === 'no-scratch' ? 'no scratch' : null,
      bitmapNew,
    },
    cleanup: { ok: mishap !== 'umount-busy', left: [] },
    job: vm.isUp
      ? { result: 'completed', processed: disks.reduce((sum, disk) => sum + (disk.ownData ?? 0) + (disk.ownZero ?? 0), 0) }
      : null,
    disks: disks.map((disk) => ({
      ...disk,
      dirtyBefore: disk.method === 'incremental' ? (before.get(disk.target) ?? 0) * CLUSTER : null,
      compared: disk.method === 'rescued' && mishap !== 'comparison-unseen' ? disk.virtualSize : null,
      parentBitmap:
        disk.method === 'incremental' ? { recording: true, inconsistent: false, persistent: true, granularity: CLUSTER } : null,
      check: mishap === 'check-skipped' ? 'skipped' : 'ok',
    })),
  });
  const answer: Answer = {
    ...FAILED,
    result: true,
    code: null,
    exitCode: 0,
    size: 500_000,
    bitmapCreated: bitmapNew,
    bitmapRecreated: repaired ? bitmapParent : null,
    incrementalFallback: mode !== plan.kind,
  };
  if (mishap === 'exit-lost')
    return {
      answer: { ...answer, result: false, code: 'outcome-unknown', exitCode: null },
      facts: null,
      truth: { answer, facts },
    };
  return mishap === 'facts-lost' ? told(answer, null) : told(answer, facts);
}

/** The seed's own script on the model: recreates an empty bitmap where libvirt's record is gone, and reports no facts. */
export function runStockSeed(vm: ModelVm, nas: ModelNas, plan: BackupPlan, mishap: Mishap): Ran {
  if (mishap === 'refused') return told(FAILED, null);
  const bitmapParent = plan.parent?.bitmap ?? '';
  const incremental = plan.kind === 'incremental' && vm.isUp;
  const recreate = incremental && !vm.checkpoints.has(bitmapParent);
  if (recreate && vm.disks.some(({ bitmaps }) => bitmaps.has(bitmapParent)))
    return told({ ...FAILED, code: 'recreate-failed' }, null);
  if (recreate) {
    vm.checkpoints.add(bitmapParent);
    for (const disk of vm.disks) disk.addBitmap(bitmapParent, vm.life);
  }
  if (incremental && !vm.disks.every(({ bitmaps }) => isHealthy(bitmaps.get(bitmapParent)))) return told(FAILED, null);
  const disks = vm.disks.map((disk, index) => store(nas, plan, disk, index, incremental ? bitmapParent : null, false));
  if (vm.isUp) addBitmaps(vm, plan.bitmapNew, false);
  const bitmapRecreated = recreate ? bitmapParent : null;
  if (mishap === 'job-failed') {
    for (const { file } of disks) nas.delete(`${plan.backupPath}/${file}`);
    return told({ ...FAILED, bitmapRecreated }, null);
  }
  const answer: Answer = {
    ...FAILED,
    result: true,
    code: null,
    exitCode: 0,
    size: 500_000,
    bitmapCreated: vm.isUp ? plan.bitmapNew : null,
    bitmapRecreated,
    incrementalFallback: plan.kind === 'incremental' && !vm.isUp,
  };
  return mishap === 'exit-lost'
    ? {
        answer: { ...answer, result: false, code: 'outcome-unknown', exitCode: null },
        facts: null,
        truth: { answer, facts: null },
      }
    : told(answer, null);
}

function told(answer: Answer, facts: Facts | null): Ran {
  return { answer, facts, truth: { answer, facts } };
}

function isHealthy(bitmap: { recording: boolean; inconsistent: boolean } | undefined): boolean {
  return bitmap !== undefined && bitmap.recording && !bitmap.inconsistent;
}

/** A seeding that fails on one disk leaves none, and reports none. */
function addBitmaps(vm: ModelVm, name: string | null, fails: boolean): boolean {
  if (name === null || fails) return false;
  for (const disk of vm.disks) disk.addBitmap(name, vm.isUp ? vm.life : 0);
  if (vm.isUp) vm.checkpoints.add(name);
  return true;
}

/** Writes one disk's file: the clusters that the bitmap calls dirty, those that differ from the chain (`rescue`), or all that are not zero. */
function store(nas: ModelNas, plan: BackupPlan, disk: ModelDisk, index: number, way: string | null, short: boolean): DiskFacts {
  const { target, inode, clusters } = disk;
  const path = `/pool/${target}-${inode}`;
  const file = `${index === 0 ? 'root' : 'datadisk'}.${target}-${inode}.qcow2`;
  const parentFile = plan.disks.find((planned) => planned.target === target)?.parentFile ?? null;
  const under = way === 'rescue' ? flatten(nas, parentFile ?? '') : [];
  const dirty = way === null || way === 'rescue' ? null : [...(disk.bitmaps.get(way)?.dirty ?? [])];
  const stored = dirty ?? [...clusters.keys()].filter((cluster) => clusters[cluster] !== (under[cluster] ?? 0));
  const own = new Map((short ? stored.slice(1) : stored).map((cluster) => [cluster, clusters[cluster] ?? 0]));
  const backing = way === null || parentFile === null ? null : `../${parentFile.split('/').slice(1).join('/')}`;
  nas.set(`${plan.backupPath}/${file}`, {
    size: clusters.length,
    own,
    backing: backing === null ? null : resolveBacking(plan.backupPath, backing),
  });
  const zeroes = [...own.values()].filter((value) => value === 0).length;
  return {
    target,
    path,
    inode,
    format: 'qcow2',
    virtualSize: clusters.length * CLUSTER,
    method: way === null ? 'full' : way === 'rescue' ? 'rescued' : 'incremental',
    file,
    backing,
    fileSize: null,
    allocated: null,
    clusterSize: CLUSTER,
    ownData: (own.size - zeroes) * CLUSTER,
    ownZero: zeroes * CLUSTER,
    dirtyBefore: null,
    compared: null,
    parentBitmap: null,
    check: 'ok',
    writtenBytes: null,
  };
}
