import { posix } from 'node:path';
import type { Dialect } from '../../../domain/agent/facts';
import { CLUSTER, ClusterMap } from '../cluster-map';
import type { FakeDisk } from '../fake-disk';
import type { FakeNas } from '../fake-nas';
import type { FakeVm } from '../fake-vm';
import { type Call, mount, type Said } from './call';
import { deleteDirectory, stats } from './delete-stats';
import { Failure } from './failure';
import { listOf, need } from './options';
import { bitmapTrouble, fileName } from './plan';
import { jobBlock } from './print';
import { backingOf } from './run-facts';

const ended = (exit: number, stdout = ''): Said => ({ stdout, stderr: '', exit });
const failed = (stdout: string): Said => ended(1, stdout);

/** A stock script as it is in the field, in the dialect that host.conf names, with what it gets wrong. */
export async function runStock(call: Call): Promise<Said> {
  const { host, options } = call;
  if (options.operation === 'delete') return deleteDirectory(call);
  if (options.operation === 'stats') return stats(call);
  if (options.operation !== 'backup') throw new Failure('bad-option', `Unknown operation: ${options.operation}`);
  const dialect = host.stock ?? 'final';
  if (host.faults.take('backup', ['too-old'])) return ended(2);
  const vm = host.vms.get(need(options, 'vm'));
  if (!vm) return failed('');
  const mounted = mountStore(call, dialect);
  if ('exit' in mounted) return mounted;
  const { nas, unmount } = mounted;
  const path = need(options, 'path');
  nas.makeFolder(path);
  await host.pace(call.signal);
  if (vm.state !== 'running') return stopped(call, dialect, vm, nas, path);
  if (host.faults.take('backup', ['cleanup-failed'])) {
    nas.put(`${path}/${fileName(vm.disk('vda'), 0)}`, 'a part');
    return ended(20, 'Virsh backup job failed\nVirsh backup job failed\nBackup cleanup failed\n');
  }
  if (options.values.get('mode') === 'incremental' && host.faults.take('backup', ['incremental-unsupported'])) {
    nas.remove(path);
    unmount();
    return ended(21);
  }
  const said = running(call, dialect, vm, nas, path);
  if (said.exit > 128) return said;
  // A busy mount ends the seed and its successor with umount's code; the final one only logs it.
  const exit = unmount() !== null && (dialect === 'seed' || dialect === 'mid') ? 32 : said.exit;
  return { ...said, exit };
}

/** Since the seed mount's own words and code are all that is heard of a mount that fails. */
function mountStore(call: Call, dialect: Dialect): ReturnType<typeof mount> | Said {
  try {
    return mount(call);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'mount-failed' || dialect === 'legacy') throw error;
    return ended(32, `${error.message.replace(/^Failed to mount \w+ store: /, '')}\n`);
  }
}

/** None of them unmounts here: every backup of a stopped VM leaves its mount behind. */
function stopped({ host, options }: Call, dialect: Dialect, vm: FakeVm, nas: FakeNas, path: string): Said {
  const incremental = options.values.get('mode') === 'incremental';
  const bitmap = options.values.get('bitmap-new');
  const why = 'INCREMENTAL_FALLBACK=full (VM stopped — incremental requires running VM)\n';
  const unseeded = dialect === 'mid' && host.faults.take('backup', ['bitmap-not-seeded']) !== null;
  const seeds = (dialect === 'mid' || dialect === 'final') && bitmap !== undefined && !unseeded;
  if (seeds) for (const disk of vm.disks) disk.addBitmap(bitmap, null);
  const sizes = vm.disks
    .map((disk, index) => nas.put(`${path}/${fileName(disk, index)}`, disk.content.copy()).size)
    .map((size) => `${size}\n`)
    .join('');
  if (dialect === 'legacy' || dialect === 'seed') {
    return { stdout: `\n${sizes}`, stderr: incremental && dialect === 'seed' ? why : '', exit: 0 };
  }
  if (dialect === 'mid')
    return {
      stdout: `${incremental ? why : ''}${seeds ? `BITMAP_CREATED=${bitmap}\n` : ''}${sizes}`,
      stderr: '',
      exit: unseeded ? 22 : 0,
    };
  return { stdout: `${incremental ? 'INCREMENTAL_FALLBACK=true\n' : ''}${sizes}`, stderr: '', exit: 0 };
}

function running({ host, options }: Call, dialect: Dialect, vm: FakeVm, nas: FakeNas, path: string): Said {
  const mode = dialect === 'legacy' ? '' : (options.values.get('mode') ?? '');
  const [bitmapNew, parent] = [options.values.get('bitmap-new') ?? '', options.values.get('bitmap-parent') ?? ''];
  const terminated = host.faults.take('backup', ['terminated']) !== null;
  let incremental = mode === 'incremental';
  let before = '';
  if (incremental && dialect === 'final') {
    incremental = vm.disks.every(({ bitmaps }) => bitmaps.has(parent));
    if (!incremental) before = 'INCREMENTAL_FALLBACK=true\n';
  } else if (incremental && !vm.checkpoints.includes(parent)) {
    const recreated = recreateBlank(vm, parent, dialect);
    if (recreated !== null) return failed(recreated);
    // Before it could say so.
    if (terminated) return ended(143);
    before = `BITMAP_RECREATED=${parent}\n`;
  }
  // They count bitmaps by name; libvirt looks at their health.
  if (incremental && vm.disks.some((disk) => bitmapTrouble(disk, parent) !== null)) {
    nas.remove(path);
    return failed(
      dialect === 'seed' ? `error: checkpoint inconsistent: missing or broken bitmap '${parent}' for disk 'vda'\n` : '',
    );
  }
  const given = listOf(options.values.get('parent-paths') ?? options.values.get('parent-path'));
  const layers = vm.disks.map((disk) => takeOut(disk, incremental ? parent : null));
  const total = layers.reduce((sum, layer) => sum + layer.own().data + layer.own().zero, 0);
  if (terminated) {
    nas.put(`${path}/${fileName(vm.disk('vda'), 0)}`, 'a part');
    return ended(143, before);
  }
  for (const [index, disk] of vm.disks.entries()) {
    // The seed has one parent path, the first disk's, for every disk.
    const below = incremental ? (given[index] ?? given[0] ?? '') : null;
    nas.put(`${path}/${fileName(disk, index)}`, layers[index] ?? new ClusterMap(0), below && backingOf(path, below));
    if (mode === 'full' || mode === 'incremental') disk.addBitmap(bitmapNew, vm.life);
  }
  if (mode === 'full' || mode === 'incremental') vm.checkpoints.push(bitmapNew);
  nas.put(posix.join(path, 'domain-config.xml'), '<domain/>');
  if (incremental && dialect === 'final') vm.dropBitmap(parent);
  const after = mode !== '' && (dialect === 'seed' || dialect === 'mid') ? `BITMAP_CREATED=${bitmapNew}\n` : '';
  return { stdout: `${before}${jobBlock('Completed', 120, total, total)}${nas.size(path)}\n${after}`, stderr: '', exit: 0 };
}

/**
 * A new, empty bitmap under the parent's name: where it succeeds, every write since the parent is lost to the chain.
 * Answers what the script says when it cannot.
 */
function recreateBlank(vm: FakeVm, parent: string, dialect: Dialect): string | null {
  if (vm.disks.some(({ bitmaps }) => bitmaps.has(parent))) {
    // The seed gives up here; its successor removes the bitmap, and with it what had been tracked.
    if (dialect === 'seed') return `Failed to recreate parent bitmap ${parent} for ${vm.name}\n`;
    for (const disk of vm.disks) disk.bitmaps.delete(parent);
  }
  for (const disk of vm.disks) disk.addBitmap(parent, vm.life);
  vm.checkpoints.push(parent);
  return null;
}

function takeOut({ content, bitmaps }: FakeDisk, parent: string | null): ClusterMap {
  const all = Array.from({ length: Math.ceil(content.size / CLUSTER) }, (_, index) => index);
  const wanted = parent === null ? all : (bitmaps.get(parent)?.dirty ?? []);
  return new ClusterMap(
    content.size,
    [...wanted].map((index) => [index, content.get(index) ?? null] as const),
  );
}
