import { CLUSTER } from './cluster-map';
import { FakeDisk } from './fake-disk';
import { FakeVm } from './fake-vm';

const running = (): { vm: FakeVm; disk: FakeDisk } => {
  const vm = new FakeVm('i-2-1-VM');
  const disk = new FakeDisk('vda', 8 * CLUSTER, '/images');
  vm.disks.push(disk);
  vm.start('2026-01-01T00:00:00.000Z');
  return { vm, disk };
};

/** As measured on real libvirt: what outlives a stop, a crash, a shrink. */
describe('the life of a bitmap', () => {
  test('a clean stop keeps it and what it has tracked; libvirt forgets the checkpoint', () => {
    const { vm, disk } = running();
    disk.addBitmap('backup-1', vm.life);
    vm.checkpoints.push('backup-1');
    disk.write(1, CLUSTER, 10);
    vm.stop();
    vm.start('2026-01-01T00:01:00.000Z');
    disk.write(1, 3 * CLUSTER, 10);
    expect(vm.checkpoints).toEqual([]);
    expect([...(disk.bitmaps.get('backup-1')?.dirty ?? [])]).toEqual([1, 3]);
    expect(disk.bitmaps.get('backup-1')).toMatchObject({ recording: true, inconsistent: false });
  });

  test('kill -9 spoils those from before and drops those of this life', () => {
    const { vm, disk } = running();
    disk.addBitmap('seeded', null);
    disk.addBitmap('old', vm.life);
    vm.stop();
    vm.start('2026-01-01T00:01:00.000Z');
    disk.addBitmap('young', vm.life);
    vm.crash();
    expect([...disk.bitmaps.keys()]).toEqual(['seeded', 'old']);
    for (const bitmap of disk.bitmaps.values()) expect(bitmap).toMatchObject({ recording: false, inconsistent: true });
  });

  test('shrinking and growing back loses what it knew of the end, without a sign', () => {
    const { disk } = running();
    disk.addBitmap('backup-1', 1);
    disk.write(1, 7 * CLUSTER, CLUSTER);
    disk.resize(4 * CLUSTER);
    disk.resize(8 * CLUSTER);
    expect(disk.dirtyBytes('backup-1')).toBe(0);
    expect(disk.content.get(7)).toBeUndefined();
  });

  test('a discard counts where something was', () => {
    const { disk } = running();
    disk.write(1, 0, CLUSTER);
    disk.addBitmap('backup-1', 1);
    disk.discard(0, 4 * CLUSTER);
    expect(disk.dirtyBytes('backup-1')).toBe(CLUSTER);
  });

  test('what does not run cannot be stopped, and what runs cannot be started', () => {
    const { vm } = running();
    expect(() => vm.start('2026-01-01T00:00:00.000Z')).toThrow(/runs already/);
    vm.pause();
    vm.resume();
    vm.stop();
    for (const act of ['stop', 'crash', 'pause', 'resume'] as const) expect(() => vm[act]()).toThrow(/does not run/);
  });
});
