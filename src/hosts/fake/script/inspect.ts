import { CLUSTER } from '../cluster-map';
import type { FakeBitmap, FakeDisk } from '../fake-disk';
import { type Call, mount, type Said } from './call';
import { listOf, need } from './options';
import { jsonAnswer } from './print';

/** `inspect`: read-only facts about a VM, and about a repository when one is named. */
export function inspect(call: Call): Said {
  const { host, options } = call;
  const name = need(options, 'vm');
  const vm = host.vms.get(name);
  const live = vm?.live === true;
  const told = listOf(options.values.get('diskpaths'));
  const known = live || vm?.persistent === true;
  const disks = live || (known && told.length === 0) ? vm.disks : told.flatMap((path) => findDisk(call, path) ?? []);
  const repository = options.values.get('type') ? mount(call) : null;
  const path = options.values.get('path');
  const missing = repository && path && !repository.nas.folders.has(path);
  const space = repository && { total: repository.nas.capacity, free: repository.nas.free };
  repository?.unmount();
  return jsonAnswer({
    v: 1,
    script: '1.0.0',
    host: host.facts(),
    vm: {
      name,
      state: live ? vm.state : known || told.length > 0 ? 'shut off' : 'absent',
      reason: live ? vm.reason : null,
      uuid: live ? vm.uuid : null,
      qemuStarted: live ? vm.qemuStarted : null,
    },
    job: { active: live && vm.job !== null, operation: live && vm.job ? 'Backup' : null },
    checkpoints: live ? vm.checkpoints : [],
    agent: live && vm.agent ? true : null,
    space,
    disks: disks.map((disk, index) => inspectedDisk(disk, live ? disk.target : `disk${index}`, live)),
    problems: [
      ...told
        .filter((disk) => !live && findDisk(call, disk) === undefined)
        .map((disk) => ({ code: 'disk-unreadable', message: `${disk}: no such file` })),
      ...(missing ? [{ code: 'path-missing', message: `${path} is not on the NAS` }] : []),
    ],
  });
}

const findDisk = ({ host }: Call, path: string): FakeDisk | undefined =>
  [...host.vms.values()].flatMap(({ disks }) => disks).find((disk) => disk.path === path);

function inspectedDisk(disk: FakeDisk, target: string, live: boolean): object {
  return {
    target,
    device: live ? 'disk' : null,
    path: disk.path,
    inode: disk.inode,
    type: 'file',
    format: disk.format,
    compat: disk.format === 'qcow2' ? disk.compat : null,
    virtualSize: disk.content.size,
    clusterSize: disk.format === 'qcow2' ? CLUSTER : null,
    actualSize: disk.content.own().data + 3 * CLUSTER,
    errorPolicy: live ? disk.errorPolicy : null,
    bitmaps: [...disk.bitmaps.values()].map((bitmap) => inspectedBitmap(disk, bitmap, live)),
    writtenBytes: live ? disk.written : null,
  };
}

const inspectedBitmap = (disk: FakeDisk, { name, recording, inconsistent }: FakeBitmap, live: boolean): object => ({
  name,
  recording,
  inconsistent,
  persistent: true,
  busy: false,
  granularity: CLUSTER,
  dirtyBytes: live ? disk.dirtyBytes(name) : null,
  flags: live ? [] : inconsistent ? ['in-use', 'auto'] : ['auto'],
});
