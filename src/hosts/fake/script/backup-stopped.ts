import type { FakeNas } from '../fake-nas';
import type { FakeVm } from '../fake-vm';
import { type Call, checkSignal } from './call';
import { openDestination } from './destination';
import { Failure, Killed } from './failure';
import { bytesWanted, planRun } from './plan';
import type { RunRecord } from './run-facts';

/** Backs up a stopped VM: its bitmaps are seeded before the first byte is read, and nobody can start it meanwhile. */
export async function backupStopped(call: Call, record: RunRecord, vm: FakeVm, nas: FakeNas): Promise<void> {
  const { host, options } = call;
  record.transfer = 'offline';
  if (vm.disks.length === 0) throw new Failure('no-disks', `${vm.name} has no disks`);
  const plan = planRun(vm, nas, options, () => false);
  record.plan = plan;
  const bitmapNew = options.values.get('bitmap-new') ?? '';
  const seeds = plan.mode !== 'legacy-full';
  if (seeds && vm.disks.some(({ bitmaps }) => bitmaps.has(bitmapNew))) {
    throw new Failure('bitmap-exists', `A disk of ${vm.name} has a bitmap ${bitmapNew} already`);
  }
  openDestination(call, record, nas, bytesWanted(plan, undefined));
  if (seeds) {
    for (const disk of vm.disks) disk.addBitmap(bitmapNew, null);
    record.undo.push(() => vm.dropBitmap(bitmapNew));
  }
  vm.imagesInUse += 1;
  try {
    const total = vm.disks.reduce((sum, { content }) => sum + content.size, 0);
    for (const [index, disk] of plan.disks.entries()) {
      call.progress(Math.floor((total * index) / plan.disks.length), total);
      await host.pace(call.signal);
      checkSignal(call);
      const fault = host.faults.take('backup', ['killed', 'nas-full', 'job-failed']);
      if (fault === 'killed') throw new Killed();
      if (fault)
        throw new Failure(
          fault === 'nas-full' ? 'target-full' : 'convert-failed',
          `qemu-img convert failed for ${disk.disk.path}`,
        );
      try {
        record.files.set(disk, nas.put(`${record.path}/${disk.file}`, disk.disk.content.copy()));
      } catch (error) {
        throw new Failure('target-full', `qemu-img convert failed for ${disk.disk.path}: ${(error as Error).message}`);
      }
    }
    call.progress(total, total);
  } finally {
    vm.imagesInUse -= 1;
  }
  if (host.faults.take('backup', ['check-failed']))
    throw new Failure('check-failed', `qemu-img check found errors in ${plan.disks[0]?.file}`);
  if (seeds) record.doneBitmap = bitmapNew;
  record.doneMode = plan.mode;
}
