import { type Call, checkSignal, lockVm, mount, type Said } from './call';
import { Failure, Killed } from './failure';
import { backupLive } from './backup-live';
import { backupStopped } from './backup-stopped';
import { listOf, need } from './options';
import { askedMode } from './plan';
import { jobBlock } from './print';
import { RunRecord } from './run-facts';

/** `-o backup`: the whole of one run, with the same answers as the host script's. */
export async function backup(call: Call): Promise<Said> {
  const record = new RunRecord(call, need(call.options, 'path'));
  try {
    askedMode(call.options);
    const { vm, release } = lockVm(call);
    record.undo.push(release);
    const known =
      vm !== undefined && (vm.live || listOf(call.options.values.get('diskpaths')).length > 0 || call.options.disks !== null);
    if (!known)
      throw new Failure('vm-not-found', `There is no virtual machine ${need(call.options, 'vm')}, and no -d to tell its disks`);
    [record.state, record.qemuStarted] = [vm.live ? vm.state : 'shut off', vm.qemuStarted];
    await call.host.pace(call.signal);
    const { nas, unmount } = mount(call);
    record.nas = nas;
    const leave = (): void => {
      const left = unmount();
      if (left !== null) record.left.push(left);
    };
    record.undo.push(leave);
    checkSignal(call);
    await (vm.live ? backupLive(call, record, vm, nas) : backupStopped(call, record, vm, nas));
    const job = nas.unfinished.get(record.path);
    if (job !== undefined) nas.finished.set(record.path, job);
    nas.unfinished.delete(record.path);
    if (call.host.faults.take('backup', ['killed-at-end'])) throw new Killed();
    const size = nas.size(record.path);
    leave();
    release();
    return { stdout: good(call, record, size), stderr: warnings(record), exit: 0 };
  } catch (error) {
    if (error instanceof Killed) {
      // The kernel drops a dead process's locks; everything else stays.
      record.undo[0]?.();
      throw error;
    }
    if (!(error instanceof Failure)) throw error;
    for (const takeBack of record.undo.reverse()) takeBack();
    return {
      stdout: `${error.message}\n${record.line(error)}`,
      stderr: `${warnings(record)}${error.message}\n`,
      exit: record.left.length > 0 ? 20 : 1,
    };
  }
}

const warnings = ({ left }: RunRecord): string => left.map((what) => `warning: left behind: ${what}\n`).join('');

function good({ options }: Call, record: RunRecord, size: number): string {
  const seed = options.values.get('dialect') === 'seed';
  const { plan, job, doneBitmap, files } = record;
  let out = '';
  if (seed && plan?.recreateMethod) out += `BITMAP_RECREATED=${options.values.get('bitmap-parent')}\n`;
  if (options.values.get('mode') === 'incremental' && record.doneMode !== 'incremental') out += 'INCREMENTAL_FALLBACK=true\n';
  if (record.transfer === 'offline') {
    out += record.line(null) + [...files.values()].map((file) => `${file.size}\n`).join('');
  } else {
    out += `${jobBlock('Completed', job?.ms ?? 0, job?.processed ?? 0, job?.total ?? 0)}${record.line(null)}${size}\n`;
  }
  return seed && doneBitmap !== null ? `${out}BITMAP_CREATED=${doneBitmap}\n` : out;
}
