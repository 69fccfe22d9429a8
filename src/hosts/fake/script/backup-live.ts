import { type Cluster, CLUSTER, ClusterMap } from '../cluster-map';
import type { FakeDisk } from '../fake-disk';
import type { FakeNas } from '../fake-nas';
import type { FakeJob, FakeVm } from '../fake-vm';
import { type Call, checkSignal } from './call';
import { openDestination } from './destination';
import { Failure, Killed } from './failure';
import { bitmapTrouble, bytesWanted, type DiskPlan, planRun } from './plan';
import { backingOf, type RunRecord } from './run-facts';

/** Backs up a running or paused VM: the disks as they are at the moment of the checkpoint. */
export async function backupLive(call: Call, record: RunRecord, vm: FakeVm, nas: FakeNas): Promise<void> {
  const { host, options } = call;
  chooseTransfer(call, record);
  if (vm.disks.length === 0) throw new Failure('no-disks', `${vm.name} has no disks`);
  const bitmapNew = options.values.get('bitmap-new') ?? '';
  if (vm.checkpoints.includes(bitmapNew)) throw new Failure('bitmap-exists', `${vm.name} has a checkpoint ${bitmapNew} already`);
  if (vm.job) throw new Failure('job-busy', `${vm.name} is busy with another job: Backup`);
  const plan = planRun(vm, nas, options, (bitmap) => {
    if (host.faults.take('backup', ['redefine-refused'])) return false;
    vm.checkpoints.push(bitmap);
    return true;
  });
  record.plan = plan;
  if (plan.recreateMethod === 'rescued' && record.transfer === 'push')
    [record.transfer, record.transferReason] = ['pull', 'a rescue compares with an export'];
  dropInconsistent(vm);
  const parent = options.values.get('bitmap-parent');
  for (const disk of plan.disks) rememberParent(record, disk, parent);
  openDestination(call, record, nas, bytesWanted(plan, parent));
  const legacy = plan.mode === 'legacy-full';
  // One instant: what is backed up, and where the next bitmap begins.
  const snapshot = plan.disks.map((disk) => takeOut(disk, parent ?? '', nas));
  if (!legacy) {
    vm.checkpoints.push(bitmapNew);
    for (const disk of vm.disks) disk.addBitmap(bitmapNew, vm.life);
    record.undo.push(() => vm.dropBitmap(bitmapNew));
  }
  freeze(call, record, vm);
  try {
    await runJob(call, record, vm, snapshot);
  } catch (error) {
    if (error instanceof Killed) abandon(record, vm, nas, snapshot);
    throw error;
  }
  nas.put(`${record.path}/domain-config.xml`, '<domain/>');
  for (const [index, disk] of plan.disks.entries()) putFile(record, nas, disk, snapshot[index] ?? new ClusterMap(0));
  nas.put(`${record.path}/domain-config.xml`, '<domain/>\n');
  if (host.faults.take('backup', ['check-failed']))
    throw new Failure('check-failed', `qemu-img check found errors in ${plan.disks[0]?.file}`);
  if (!legacy && vm.disks.every((disk) => bitmapTrouble(disk, bitmapNew) === null)) record.doneBitmap = bitmapNew;
  record.doneMode = plan.mode;
}

function chooseTransfer({ options }: Call, record: RunRecord): void {
  const wish = options.values.get('transfer');
  const limited = options.values.has('bandwidth');
  record.transfer = wish === 'pull' || wish === 'auto' || (limited && !wish) ? 'pull' : 'push';
  if (!limited) {
    record.transferReason = wish === 'auto' ? 'a fake host always has scratch space' : null;
  } else if (wish === 'push') {
    throw new Failure('push-unlimited', 'A push cannot be limited: ask for --transfer pull or auto');
  } else {
    record.transferReason = wish === 'pull' ? null : 'only a pull keeps a limit';
  }
}

/** Bitmaps of ours that a crash has spoiled help nobody. */
function dropInconsistent(vm: FakeVm): void {
  for (const disk of vm.disks) {
    for (const { name, inconsistent } of [...disk.bitmaps.values()]) {
      if (inconsistent && /^backup-\d{1,12}$/.test(name)) disk.bitmaps.delete(name);
    }
  }
}

function rememberParent(record: RunRecord, plan: DiskPlan, parent: string | undefined): void {
  const bitmap = plan.disk.bitmaps.get(parent ?? '');
  if (!bitmap) return;
  if (plan.mode === 'incremental') record.dirtyBefore.set(plan, plan.disk.dirtyBytes(bitmap.name));
  record.parentBitmaps.set(plan, {
    recording: bitmap.recording,
    inconsistent: bitmap.inconsistent,
    persistent: true,
    granularity: CLUSTER,
  });
}

/** What a disk's backup file will hold. */
function takeOut({ disk, mode, parent: file }: DiskPlan, parent: string, nas: FakeNas): ClusterMap {
  const wanted =
    mode === 'incremental'
      ? (disk.bitmaps.get(parent)?.dirty ?? new Set<number>())
      : mode === 'rescued'
        ? nas.differences(file ?? '', disk.content)
        : allClusters(disk);
  const read = (index: number): readonly [number, Cluster] => [index, disk.content.get(index) ?? null];
  return new ClusterMap(disk.content.size, [...wanted].map(read));
}

function* allClusters({ content }: FakeDisk): Generator<number> {
  for (let index = 0; index * CLUSTER < content.size; index += 1) yield index;
}

function freeze({ host, options }: Call, record: RunRecord, vm: FakeVm): void {
  if (options.values.get('quiesce') !== 'true') return;
  if (!vm.agent)
    throw new Failure('agent-missing', `Cannot freeze the filesystems of ${vm.name}: error: Guest agent is not responding`);
  vm.frozen = true;
  if (host.faults.take('backup', ['thaw-failed'])) {
    record.guest = { ...record.guest, thawed: false };
    record.left.push(`frozen filesystems in ${vm.name}, after 3 attempts: error: Guest agent is not responding`);
    throw new Failure('thaw-failed', `Failed to thaw the filesystem for vm ${vm.name}: error: Guest agent is not responding`);
  }
  vm.frozen = false;
  record.guest = { ...record.guest, frozenMs: 1, thawed: true };
}

async function runJob(call: Call, record: RunRecord, vm: FakeVm, snapshot: readonly ClusterMap[]): Promise<void> {
  const { host } = call;
  const total = snapshot.reduce((sum, layer) => sum + layer.own().data + layer.own().zero, 0);
  const job: FakeJob = { ended: new AbortController(), destination: record.path };
  const start = performance.now();
  const end = (result: NonNullable<RunRecord['job']>['result'], error: string | null): void => {
    if (vm.job === job) vm.job = null;
    const processed = result === 'completed' ? total : 0;
    record.job = { result, error, processed, total, ms: Math.round(performance.now() - start) };
  };
  vm.job = job;
  for (let step = 0; step < 3; step += 1) {
    call.progress(Math.floor((total * step) / 3), total);
    await host.pace(AbortSignal.any([call.signal, job.ended.signal]));
    if (job.ended.signal.aborted) break;
    if (call.signal.aborted && call.signal.reason !== 'KILL') end('cancelled', null);
    checkSignal(call);
  }
  const fault = host.faults.take('backup', ['killed', 'nas-full', 'job-failed', 'job-cancelled', 'guest-gone']);
  if (fault === 'killed') throw new Killed();
  if (fault === 'guest-gone' && !job.ended.signal.aborted) vm.crash();
  if (job.ended.signal.aborted && job.ended.signal.reason === 'guest-gone') {
    end('failed', null);
    throw new Failure('guest-gone', `${vm.name} went away during the backup`);
  }
  if (fault === 'job-cancelled' || job.ended.signal.aborted) {
    end('cancelled', null);
    throw new Failure('job-cancelled', 'Virsh backup job failed: it was cancelled by somebody else');
  }
  if (fault === 'nas-full') failOfSpace(record, vm, end);
  if (fault === 'job-failed') {
    end('failed', 'Input/output error');
    throw new Failure('job-failed', 'Virsh backup job failed: Input/output error');
  }
  call.progress(total, total);
  end('completed', null);
}

/** The guest's own write found no room, because QEMU copies old data before it: the guest stops, and is woken again. */
function failOfSpace(record: RunRecord, vm: FakeVm, end: (result: 'failed', error: string) => void): never {
  const ran = vm.state === 'running';
  if (ran) vm.pause('I/O error');
  end('failed', 'No space left on device');
  if (ran) {
    vm.resume();
    record.guest = { ...record.guest, pausedMs: 200, resumed: true };
  }
  throw new Failure('target-full', 'Virsh backup job failed: the NAS is full: No space left on device');
}

/** libvirt goes on without the script: the files come about, but they lean on the live disks. */
function abandon({ plan, path }: RunRecord, vm: FakeVm, nas: FakeNas, snapshot: readonly ClusterMap[]): void {
  vm.job = null;
  for (const [index, disk] of (plan?.disks ?? []).entries())
    nas.put(`${path}/${disk.file}`, snapshot[index] ?? new ClusterMap(0), disk.disk.path);
}

function putFile(record: RunRecord, nas: FakeNas, plan: DiskPlan, content: ClusterMap): void {
  const backing = plan.parent === null ? null : backingOf(record.path, plan.parent);
  try {
    record.files.set(plan, nas.put(`${record.path}/${plan.file}`, content, backing));
  } catch (error) {
    throw new Failure('target-full', `Virsh backup job failed: the NAS is full: ${(error as Error).message}`);
  }
}
