import { posix } from 'node:path';
import type { RestoreDisk } from '../../../domain/agent/build-argv';
import type { RestoredDisk, RestoreFacts, SpoiltFile } from '../../../domain/agent/read-restore';
import { ClusterMap } from '../cluster-map';
import { FakeDisk } from '../fake-disk';
import type { FakeNas } from '../fake-nas';
import { FakeVm } from '../fake-vm';
import { type Call, checkSignal, lockVm, mount, type Said } from './call';
import { isAsItWas } from './checksum';
import { Failure, Killed } from './failure';
import { need } from './options';

/** A disk on its way: what was asked for, what its chain holds, and what is told of it. */
interface Restoring {
  readonly order: RestoreDisk;
  content: ClusterMap;
  told: RestoredDisk;
}

/** What is told of a restore besides its disks. */
interface Told {
  domain: RestoreFacts['domain'];
  attached: RestoreFacts['attached'];
  readonly left: string[];
  readonly damaged: string[];
  readonly spoilt: SpoiltFile[];
}

/** `restore`: all is looked at, then all is copied, then all is put in place at once. */
export async function restore(call: Call): Promise<Said> {
  const disks = askedDisks(call);
  const told: Told = { domain: null, attached: null, left: [], damaged: [], spoilt: [] };
  const undo: (() => void)[] = [];
  try {
    const job = checkRequest(call, disks);
    const { vm, release } = lockVm(call);
    undo.push(release);
    lookAtTargets(call, vm, disks);
    const { nas, unmount } = mount(call);
    const leave = (): void => {
      const left = unmount();
      if (left !== null) told.left.push(left);
    };
    undo.push(leave);
    const path = need(call.options, 'path');
    for (const disk of disks) told.damaged.push(...lookAtChain(call, nas, path, disk, told.spoilt));
    lookAtDefinition(call, nas, path);
    call.host.restoring.set(job, need(call.options, 'vm'));
    await copy(call, vm, disks);
    putInPlace(call, vm, disks, told);
    call.host.placed.add(job);
    if (call.host.faults.take('restore', ['killed-at-end'])) throw new Killed();
    call.host.restoring.delete(job);
    for (const takeBack of undo.reverse()) takeBack();
    return { stdout: line(call, disks, told, null), stderr: '', exit: 0 };
  } catch (error) {
    if (error instanceof Killed) {
      // The kernel drops a dead process's locks; everything else stays.
      undo[0]?.();
      throw error;
    }
    if (!(error instanceof Failure)) throw error;
    call.host.restoring.delete(call.options.values.get('job') ?? '');
    for (const takeBack of undo.reverse()) takeBack();
    const stdout = `${error.message}\n${line(call, disks, told, error)}`;
    return { stdout, stderr: `${error.message}\n`, exit: told.left.length > 0 ? 20 : 1 };
  }
}

function askedDisks({ options }: Call): Restoring[] {
  const asked = (options.disks ?? []) as unknown as readonly RestoreDisk[];
  return asked.map((order) => ({
    order,
    content: new ClusterMap(0),
    told: {
      target: order.target,
      file: order.file,
      to: order.to,
      format: order.format,
      virtualSize: null,
      allocated: null,
      links: null,
      hashed: null,
      unread: null,
      identical: null,
      convertMs: null,
      compareMs: null,
      swapped: false,
    },
  }));
}

/** Answers the job's id. @throws Failure `bad-option` */
function checkRequest({ options }: Call, disks: readonly Restoring[]): string {
  const { flags, values } = options;
  need(options, 'vm');
  need(options, 'path');
  need(options, 'disks');
  const job = values.get('job');
  if (job === undefined) throw new Failure('bad-option', 'A restore runs as a job: start --job ID --fence N -- restore ...');
  const [name, attach] = [values.get('new-name'), values.get('attach')];
  if (flags.has('networks') && name === undefined) throw new Failure('bad-option', '--networks goes with --new-name');
  if (flags.has('swap') && (name !== undefined || attach !== undefined || flags.has('overwrite')))
    throw new Failure('bad-option', '--swap goes with none of --new-name, --attach, --overwrite');
  if (name !== undefined && attach !== undefined) throw new Failure('bad-option', '--new-name and --attach do not go together');
  if (attach !== undefined && disks.length !== 1) throw new Failure('bad-option', '--attach takes one disk');
  for (const key of ['target', 'to'] as const) {
    const twice = disks.find(({ order }, index) => disks.findIndex((other) => other.order[key] === order[key]) !== index);
    if (twice) throw new Failure('bad-option', `--disks names ${twice.order[key]} twice`);
  }
  return job;
}

/** @throws Failure `vm-running`, `vm-not-found`, `target-in-use`, `target-missing`, `target-exists` */
function lookAtTargets({ host, options }: Call, vm: FakeVm | undefined, disks: readonly Restoring[]): void {
  const swap = options.flags.has('swap');
  if (swap && vm?.live) throw new Failure('vm-running', `${vm.name} is ${vm.state}: stop it, or restore to new disks`);
  const receiver = options.values.get('attach');
  if (receiver !== undefined && !host.vms.has(receiver))
    throw new Failure('vm-not-found', `There is no virtual machine ${receiver}`);
  for (const { order } of disks) {
    const folder = posix.dirname(order.to);
    if (!host.hasFolder(folder)) throw new Failure('target-missing', `There is no directory ${folder}/`);
    const user = [...host.vms.values()].find((other) => other.disks.some(({ path }) => path === order.to));
    if (!swap && (user || host.images.has(order.to))) throw new Failure('target-exists', `${order.to} is there already`);
    if (user && (user.live || user.imagesInUse > 0))
      throw new Failure('target-in-use', `${order.to} is in use: Failed to get "write" lock`);
  }
}

/** Answers what is not as it was, where that is taken. @throws Failure `chain-missing`, `checksum-mismatch`, `size-mismatch` */
function lookAtChain({ options }: Call, nas: FakeNas, path: string, disk: Restoring, spoilt: SpoiltFile[]): string[] {
  const { order } = disk;
  const file = `${path}/${order.file}`;
  const links = nas.links(file);
  if (links === null) {
    const gone = nas.missing(file);
    if (nas.keeps(gone)) spoilt.push({ path: gone, state: 'missing' });
    throw new Failure('chain-missing', `A file of the chain is missing: ${gone}`);
  }
  const altered = links.filter((link) => isAsItWas(nas, link) === false);
  spoilt.push(...altered.map((path): SpoiltFile => ({ path, state: 'damaged' })));
  const damaged = altered.map(
    (link) =>
      `${posix.basename(link)} of ${posix.dirname(link)} is not what it was when it was hashed: somebody or something changed it`,
  );
  if (damaged[0] !== undefined && !options.flags.has('salvage')) throw new Failure('checksum-mismatch', damaged[0]);
  disk.content = nas.content(file);
  const virtualSize = disk.content.size;
  const hashed = links.filter((link) => isAsItWas(nas, link)).length;
  disk.told = { ...disk.told, virtualSize, links: links.length, hashed };
  if (order.virtualSize !== undefined && order.virtualSize !== virtualSize)
    throw new Failure('size-mismatch', `${order.file} is of ${virtualSize} bytes, the books say ${order.virtualSize}`);
  return damaged;
}

/** @throws Failure `name-taken`, `definition-missing` */
function lookAtDefinition({ host, options }: Call, nas: FakeNas, path: string): void {
  const name = options.values.get('new-name');
  if (name === undefined) return;
  if (host.vms.has(name)) throw new Failure('name-taken', `There is a domain ${name} already`);
  if (!nas.files.has(`${path}/domain-config.xml`))
    throw new Failure('definition-missing', `${path} holds no domain-config.xml: the machine was stopped when it was backed up`);
}

/** One disk after the other; nobody can start the machine meanwhile. @throws Failure `target-full`, `restore-differs`; Killed */
async function copy(call: Call, vm: FakeVm | undefined, disks: readonly Restoring[]): Promise<void> {
  const { host, options } = call;
  const total = disks.reduce((sum, { content }) => sum + content.size, 0);
  let done = 0;
  const held = options.flags.has('swap') ? vm : undefined;
  if (held) held.imagesInUse += 1;
  try {
    for (const disk of disks) {
      call.progress(done, total);
      await host.pace(call.signal);
      checkSignal(call);
      const fault = host.faults.take('restore', ['killed', 'nas-full', 'check-failed']);
      if (fault === 'killed') throw new Killed();
      if (fault === 'nas-full')
        throw new Failure('target-full', `Writing ${disk.order.to} failed: its file system is full: No space left on device`);
      disk.told = { ...disk.told, convertMs: 1 };
      if (fault === 'check-failed') {
        disk.told = { ...disk.told, identical: false };
        throw new Failure('restore-differs', `${disk.order.to} is not what ${disk.order.file} and its chain hold`);
      }
      disk.told = { ...disk.told, identical: true, compareMs: 1, allocated: disk.content.own().data };
      done += disk.content.size;
    }
    call.progress(total, total);
  } finally {
    if (held) held.imagesInUse -= 1;
  }
}

function putInPlace({ host, options }: Call, vm: FakeVm | undefined, disks: readonly Restoring[], told: Told): void {
  const swap = options.flags.has('swap');
  const images = disks.map(({ order, content }) => FakeDisk.restored(order.target, order.to, order.format, content));
  for (const [index, image] of images.entries()) {
    const at = swap ? (vm?.disks.findIndex(({ path }) => path === image.path) ?? -1) : -1;
    if (vm && at >= 0) vm.disks[at] = image.as(vm.disks[at]?.target ?? image.target);
    else host.images.set(image.path, image);
    const disk = disks[index];
    if (disk) disk.told = { ...disk.told, swapped: swap };
  }
  const name = options.values.get('new-name');
  if (name !== undefined) {
    const domain = new FakeVm(name);
    domain.persistent = true;
    domain.disks.push(...images);
    host.vms.set(name, domain);
    told.domain = { name, uuid: domain.uuid };
  }
  const receiver = host.vms.get(options.values.get('attach') ?? '');
  const image = images[0];
  if (receiver && image) {
    const taken = new Set(receiver.disks.map(({ target }) => target));
    const letters = image.target.slice(0, -1);
    const target = [...'abcdefghijklmnopqrstuvwxyz'].map((letter) => letters + letter).find((each) => !taken.has(each)) ?? '';
    receiver.disks.push(image.as(target));
    told.attached = { vm: receiver.name, target };
  }
}

function line(
  { host, options }: Call,
  disks: readonly Restoring[],
  { domain, attached, left, damaged, spoilt }: Told,
  failure: Failure | null,
): string {
  const facts: RestoreFacts = {
    v: 1,
    script: '1.0.0',
    host: host.facts(),
    vm: options.values.get('vm') ?? '',
    disks: disks.map(({ told }) => told),
    swapped: disks.length > 0 && disks.every(({ told }) => told.swapped),
    domain,
    attached,
    damaged,
    spoilt,
    cleanup: { ok: left.length === 0, left },
    timings: {
      mount: 1,
      prepare: 1,
      convert: 1,
      compare: 1,
      sync: 1,
      swap: failure ? null : 1,
      unmount: 1,
      total: failure ? null : 6,
    },
    error: failure && { code: failure.code, message: failure.message },
  };
  return `RESTORE=${JSON.stringify(facts)}\n`;
}
