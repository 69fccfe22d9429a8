import type { FakeVm } from '../fake-vm';
import { type Call, lockVm, type Said } from './call';
import { need } from './options';
import { jsonAnswer } from './print';
import { vmAtRest } from './retire';

const OURS = /^backup-\d{1,12}$/;

/** `release`: drops every bitmap of ours; with --dry-run it only tells them. */
export function release(call: Call): Said {
  const { dryRun } = call.options;
  if (!dryRun) need(call.options, 'fence');
  const locked = lockVm(call);
  try {
    const vm = vmAtRest(call, locked.vm);
    const names = [...vm.checkpoints, ...vm.disks.flatMap(({ bitmaps }) => [...bitmaps.keys()])].filter((name) =>
      OURS.test(name),
    );
    const bitmaps = [...new Set(names)].map((name) => released(vm, name));
    if (!dryRun) for (const { name } of bitmaps) vm.dropBitmap(name);
    return jsonAnswer({ v: 1, vm: vm.name, state: vm.live ? vm.state : 'shut off', dryRun, bitmaps });
  } finally {
    locked.release();
  }
}

const released = (vm: FakeVm, name: string): { name: string; disks: string[]; checkpoint: boolean } => ({
  name,
  disks: vm.disks.filter(({ bitmaps }) => bitmaps.has(name)).map(({ target, path }) => (vm.live ? target : path)),
  checkpoint: vm.checkpoints.includes(name),
});
