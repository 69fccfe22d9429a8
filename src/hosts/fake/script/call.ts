import type { Secrets } from '../../../domain/agent/build-argv';
import type { FakeHost } from '../fake-host';
import type { FakeNas } from '../fake-nas';
import type { FakeVm } from '../fake-vm';
import { Failure, Killed } from './failure';
import { need, type Options } from './options';

/** What a program said, and how it ended. */
export interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

/** One call of the host script. */
export interface Call {
  readonly host: FakeHost;
  readonly options: Options;
  /** Aborted with `TERM` or `KILL`. */
  readonly signal: AbortSignal;
  readonly secrets: Secrets | null;
  progress(processed: number, total: number): void;
}

/** Ends here when a signal has come. @throws Failure `job-cancelled`, Killed */
export function checkSignal({ signal }: Call): void {
  if (!signal.aborted) return;
  if (signal.reason === 'KILL') throw new Killed();
  throw new Failure('job-cancelled', 'Stopped by SIGTERM');
}

/** The machine of `-v`, its lock held and its epoch checked until the answer is given back. */
export function lockVm({ host, options }: Call): { vm: FakeVm | undefined; release: () => void } {
  const name = need(options, 'vm');
  if (host.locked.has(name)) throw new Failure('vm-busy', `Another operation works on ${name}`);
  const fence = options.values.get('fence');
  if (fence) checkFence(host, name, Number(fence), true);
  host.locked.add(name);
  return { vm: host.vms.get(name), release: () => host.locked.delete(name) };
}

/** Refuses an epoch lower than one that was here. @throws Failure `fence-stale` */
export function checkFence(host: FakeHost, vm: string, epoch: number, keep: boolean): void {
  const seen = host.fences.get(vm) ?? -1;
  if (epoch < seen) throw new Failure('fence-stale', `Epoch ${epoch} is over for ${vm}: ${seen} has been here`);
  if (keep) host.fences.set(vm, epoch);
}

/** Mounts the repository at a point of its own. @throws Failure `mount-failed` */
export function mount({ host, options, secrets }: Call): { nas: FakeNas; point: string; unmount: () => string | null } {
  const [type, storage] = [need(options, 'type'), need(options, 'storage')];
  const point = `/tmp/csbackup.${Math.random().toString(36).slice(2, 8)}`;
  const refuse = (why: string): never => {
    throw new Failure('mount-failed', `Failed to mount ${type} store: mount: ${point}: ${why}`);
  };
  if (secrets?.credentials && (type === 'dir' || type === 'nfs')) {
    throw new Failure('bad-option', `A repository of type ${type} takes no credentials`);
  }
  const nas = host.nases.get(storage) ?? refuse(`special device ${storage} does not exist.`);
  const { username, password } = secrets?.credentials ?? {};
  if (nas.credentials !== null && (nas.credentials.username !== username || nas.credentials.password !== password)) {
    refuse('mount error(13): Permission denied');
  }
  if (host.faults.take(options.operation, ['mount-failed'])) refuse('Connection timed out');
  host.mounts.add(point);
  const unmount = (): string | null => {
    if (host.faults.take(options.operation, ['umount-busy'])) return `mount ${point} (umount: ${point}: target is busy.)`;
    host.mounts.delete(point);
    return null;
  };
  return { nas, point, unmount };
}
