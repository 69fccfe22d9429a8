import { posix } from 'node:path';
import type { BackupMode, RecreateMethod } from '../../../domain/agent/facts';
import { CLUSTER } from '../cluster-map';
import type { FakeDisk } from '../fake-disk';
import type { FakeNas } from '../fake-nas';
import type { FakeVm } from '../fake-vm';
import { Failure } from './failure';
import { listOf, type Options } from './options';

/** One disk's part of a backup. */
export interface DiskPlan {
  readonly disk: FakeDisk;
  readonly target: string;
  readonly mode: 'full' | 'incremental' | 'rescued';
  readonly file: string;
  /** The parent's file on the NAS; null for a full. */
  readonly parent: string | null;
}

/** What the host itself makes of a request. */
export interface RunPlan {
  readonly mode: BackupMode;
  readonly reason: string | null;
  readonly recreateMethod: RecreateMethod | null;
  readonly rescueRefused: string | null;
  readonly disks: readonly DiskPlan[];
}

/** Checks a request for what its mode needs. @throws Failure `bad-option` */
export function askedMode({ values, disks }: Options): BackupMode {
  const mode = values.get('mode') || 'legacy-full';
  const [bitmapNew, bitmapParent] = [values.get('bitmap-new'), values.get('bitmap-parent')];
  const parents = values.get('parent-paths') || values.get('parent-path') || disks;
  if (mode === 'full' && !bitmapNew) throw new Failure('bad-option', 'full mode requires --bitmap-new');
  if (mode === 'incremental' && !(bitmapNew && bitmapParent && parents)) {
    throw new Failure(
      'bad-option',
      'incremental mode requires --bitmap-parent, --bitmap-new, and --parent-path or --parent-paths',
    );
  }
  if (mode !== 'full' && mode !== 'incremental' && mode !== 'legacy-full')
    throw new Failure('bad-option', `Unknown mode: ${mode}`);
  return mode;
}

/** Decides from what is there: an incremental over healthy bitmaps or, when asked, by comparison; else an honest full with its reason. */
export function planRun(vm: FakeVm, nas: FakeNas, options: Options, redefine: (bitmap: string) => boolean): RunPlan {
  const asked = askedMode(options);
  const targets = matchDisks(vm, options);
  const cannot = vm.disks.some(({ format, compat }) => format !== 'qcow2' || compat === '0.10') ? 'image-unsupported' : null;
  const full = (reason: string | null, mode: BackupMode = 'full', rescueRefused: string | null = null): RunPlan => ({
    mode,
    reason,
    recreateMethod: null,
    rescueRefused,
    disks: vm.disks.map((disk, index) => ({
      disk,
      target: targets(disk),
      mode: 'full',
      file: fileName(disk, index),
      parent: null,
    })),
  });
  if (asked === 'legacy-full' || cannot) return full(asked === 'legacy-full' ? null : cannot, 'legacy-full');
  if (asked === 'full') return full(null);
  if (!vm.live) return full('vm-stopped');
  const bitmap = options.values.get('bitmap-parent') ?? '';
  const parents = parentFiles(vm, options);
  if (parents === null) return full('disk-set-changed');
  const rescues = options.values.get('on-lost-bitmap') === 'rescue';
  const disks: DiskPlan[] = [];
  let lost: string | null = null;
  for (const [index, disk] of vm.disks.entries()) {
    const asked = options.disks?.find(({ target }) => target === disk.target)?.mode ?? 'incremental';
    const trouble =
      asked === 'full' ? null : (bitmapTrouble(disk, bitmap) ?? (asked === 'rescued' ? 'bitmap-unconfirmed' : null));
    if (trouble !== null && !rescues) return full(trouble);
    lost ??= trouble;
    const mode = trouble === null ? asked : 'rescued';
    const parent = mode === 'full' ? null : (parents[index] ?? '');
    disks.push({ disk, target: disk.target, mode, file: fileName(disk, index), parent });
  }
  for (const { disk, target, parent } of disks) {
    const trouble = parent === null ? null : parentTrouble(disk, nas, parent);
    if (trouble !== null) return full(lost ?? trouble, 'full', lost === null ? null : `${target}: ${trouble}`);
  }
  const incremental = (method: RecreateMethod | null, all: readonly DiskPlan[] = disks): RunPlan => ({
    mode: 'incremental',
    reason: method ?? 'regular',
    recreateMethod: method,
    rescueRefused: null,
    disks: all,
  });
  const registered =
    vm.checkpoints.includes(bitmap) || disks.every(({ mode }) => mode !== 'incremental') ? 'already' : redefine(bitmap);
  if (registered === false) {
    if (!rescues) return full('bitmap-unconfirmed');
    const rescued = disks.map((disk) => (disk.mode === 'incremental' ? { ...disk, mode: 'rescued' as const } : disk));
    return incremental('rescued', rescued);
  }
  return incremental(lost !== null ? 'rescued' : registered === true ? 'redefined' : null);
}

/** The name of a disk's file on the NAS, as in CloudStack's layout. */
export const fileName = (disk: FakeDisk, index: number): string =>
  `${index === 0 ? 'root' : 'datadisk'}.${posix.basename(disk.path)}.qcow2`;

/** Why no incremental can start from this bitmap; null: it is healthy. */
export function bitmapTrouble(disk: FakeDisk, name: string): string | null {
  const bitmap = disk.bitmaps.get(name);
  if (!bitmap) return 'bitmap-missing';
  if (bitmap.inconsistent) return 'bitmap-inconsistent';
  return bitmap.recording ? null : 'bitmap-not-recording';
}

function parentTrouble(disk: FakeDisk, nas: FakeNas, parent: string): string | null {
  const below = nas.chain(parent)?.[0];
  if (!below) return 'parent-file-missing';
  return below.size > disk.content.size ? 'disk-shrunk' : null;
}

function parentFiles(vm: FakeVm, { values, disks }: Options): (string | null)[] | null {
  if (disks) return vm.disks.map(({ target }) => disks.find((disk) => disk.target === target)?.parentFile ?? null);
  const list = listOf(values.get('parent-paths'));
  if (list.length > 0) return list.length === vm.disks.length ? list : null;
  const first = values.get('parent-path') ?? '';
  return vm.disks.map((disk, index) => (index === 0 ? first : posix.join(posix.dirname(first), fileName(disk, index))));
}

/** A disk that nobody names would be left out of the backup. Answers how the facts call a disk. */
function matchDisks(vm: FakeVm, { disks }: Options): (disk: FakeDisk) => string {
  if (!disks) return ({ target }) => (vm.live ? target : `disk${vm.disks.findIndex((disk) => disk.target === target)}`);
  if (disks.length !== vm.disks.length) {
    throw new Failure('disks-mismatch', `The machine has ${vm.disks.length} disks, --disks names ${disks.length}`);
  }
  for (const { target, path } of vm.disks) {
    const asked = disks.find((disk) => (vm.live ? disk.target === target : disk.path === path));
    if (!asked) throw new Failure('disks-mismatch', `Disk ${target} (${path}) is not in --disks`);
    if (asked.path !== undefined && asked.path !== path)
      throw new Failure('disks-mismatch', `Disk ${target} is ${path}, not ${asked.path}`);
  }
  return ({ target, path }) => disks.find((disk) => disk.path === path)?.target ?? target;
}

/** Bytes that a run will write at most. */
export const bytesWanted = (plan: RunPlan, bitmapParent: string | undefined): number =>
  plan.disks.reduce(
    (sum, { disk, mode }) =>
      sum + (mode === 'incremental' ? (disk.dirtyBytes(bitmapParent ?? '') ?? 0) : disk.content.own().data + 3 * CLUSTER),
    0,
  );
