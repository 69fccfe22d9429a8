import type { FakeVm } from '../fake-vm';
import { type Call, lockVm, type Said } from './call';
import { Failure } from './failure';
import { listOf, need } from './options';
import { jsonAnswer } from './print';

/** `retire`: drops a bitmap of ours and its checkpoint; nothing there is success, too. */
export function retire(call: Call): Said {
  const bitmap = need(call.options, 'bitmap');
  need(call.options, 'fence');
  const locked = lockVm(call);
  try {
    const vm = vmAtRest(call, locked.vm);
    const having = vm.disks.filter(({ bitmaps }) => bitmaps.has(bitmap));
    const checkpointRemoved = vm.checkpoints.includes(bitmap);
    vm.dropBitmap(bitmap);
    const removedFrom = having.map(({ target, path }) => (vm.live ? target : path));
    return jsonAnswer({ v: 1, vm: vm.name, state: vm.live ? vm.state : 'shut off', bitmap, removedFrom, checkpointRemoved });
  } finally {
    locked.release();
  }
}

/** The machine whose bitmaps may be changed now. @throws Failure `vm-not-found`, `job-busy` */
export function vmAtRest({ options }: Call, vm: FakeVm | undefined): FakeVm {
  const name = need(options, 'vm');
  if (!vm || (!vm.live && listOf(options.values.get('diskpaths')).length === 0)) {
    throw new Failure('vm-not-found', `${name} does not run: its disks must be told with -d`);
  }
  if (vm.job) throw new Failure('job-busy', `${name} is busy with another job: Backup`);
  return vm;
}
