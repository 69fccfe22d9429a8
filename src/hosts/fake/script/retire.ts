import { type Call, lockVm, type Said } from './call';
import { Failure } from './failure';
import { listOf, need } from './options';
import { jsonAnswer } from './print';

/** `retire`: drops a bitmap of ours and its checkpoint; nothing there is success, too. */
export function retire(call: Call): Said {
  const bitmap = need(call.options, 'bitmap');
  need(call.options, 'fence');
  const { vm, release } = lockVm(call);
  try {
    const name = need(call.options, 'vm');
    if (!vm || (!vm.live && listOf(call.options.values.get('diskpaths')).length === 0)) {
      throw new Failure('vm-not-found', `${name} does not run: its disks must be told with -d`);
    }
    if (vm.job) throw new Failure('job-busy', `${name} is busy with another job: Backup`);
    const having = vm.disks.filter(({ bitmaps }) => bitmaps.has(bitmap));
    const checkpointRemoved = vm.checkpoints.includes(bitmap);
    vm.dropBitmap(bitmap);
    const removedFrom = having.map(({ target, path }) => (vm.live ? target : path));
    return jsonAnswer({ v: 1, vm: name, state: vm.live ? vm.state : 'shut off', bitmap, removedFrom, checkpointRemoved });
  } finally {
    release();
  }
}
