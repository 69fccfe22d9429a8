import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Dialect } from '../../domain/agent/facts';
import { DEFAULT_SCRIPT_PATH, type HostAccess } from '../host-access';
import type { HostClient } from '../host-client';
import { loadScript } from '../script-file';
import { ScriptHostClient, type ScriptHostClientOptions } from '../script-host-client';
import { CLUSTER, type ClusterMap, sameContent } from './cluster-map';
import { FakeDisk } from './fake-disk';
import { FakeHost } from './fake-host';
import type { FakeNas } from './fake-nas';
import { FakeShell } from './fake-shell';
import { FakeVm } from './fake-vm';
import type { LabDisk, LabHost } from './lab-host';

const IMAGES = '/fake/images';
const NAS = '/fake/nas';
const USER = 'chainkeeper';
const ADDRESS = 'fake-host';
const STOCK = '/fake/stock/nasbackup.sh';

/** The fake host with the lab's words: what runs on the real lab runs here too, in memory. */
export class FakeLab implements LabHost {
  readonly kind = 'fake';
  readonly host = new FakeHost(ADDRESS);
  readonly #moments = new Map<string, ClusterMap>();

  /** A host client that reaches this host; several may be used at once. */
  client(options: ScriptHostClientOptions = {}): HostClient {
    return new ScriptHostClient(new FakeShell(({ address }) => (address === ADDRESS ? this.host : undefined)), options);
  }

  async up(): Promise<void> {
    const { content } = await loadScript();
    this.host.installed.set(DEFAULT_SCRIPT_PATH, { content, sha256: createHash('sha256').update(content).digest('hex') });
    this.host.sudoers.add(`${USER} ${DEFAULT_SCRIPT_PATH}`);
  }

  async down(): Promise<void> {
    for (const job of [...this.host.jobs.values(), ...this.host.homeJobs.values()]) {
      job.terminate();
      await job.finished;
    }
    this.host.vms.clear();
    this.host.nases.clear();
    this.#moments.clear();
  }

  async access(): Promise<HostAccess> {
    return {
      id: ADDRESS,
      name: ADDRESS,
      address: ADDRESS,
      port: 22,
      user: USER,
      privateKeyFile: null,
      agentSocket: null,
      fingerprint: null,
      knownHostsFile: null,
      scriptPath: DEFAULT_SCRIPT_PATH,
      stock: null,
      dialect: 'seed',
    };
  }

  /** Puts a stock script of that dialect on the host. */
  installStock(dialect: Dialect): string {
    this.host.stock = dialect;
    this.host.installed.set(STOCK, { content: new Uint8Array(), sha256: '' });
    this.host.sudoers.add(`${USER} ${STOCK}`);
    return STOCK;
  }

  async vmCreate(vm: string, disks: readonly { readonly target: string; readonly size: number }[]): Promise<void> {
    if (this.host.vms.has(vm)) throw new Error(`this lab has a VM ${vm} already`);
    this.host.vms.set(vm, new FakeVm(vm));
    for (const { target, size } of disks) await this.diskAdd(vm, target, size);
  }
  async vmRemove(vm: string): Promise<void> {
    if (this.host.vm(vm).live) this.host.vm(vm).stop();
    this.host.vms.delete(vm);
  }
  async vmDisks(vm: string): Promise<LabDisk[]> {
    return this.host.vm(vm).disks.map(({ target, path, content }) => ({ target, path, size: content.size }));
  }
  async vmStart(vm: string): Promise<void> {
    // Start times that lie close together are taken for one: a real start takes its time.
    this.host.elapse(5_000);
    this.host.vm(vm).start(this.host.now());
  }
  async vmStop(vm: string): Promise<void> {
    this.host.vm(vm).stop();
  }
  async vmCrash(vm: string): Promise<void> {
    this.host.vm(vm).crash();
  }
  async vmPause(vm: string): Promise<void> {
    this.host.vm(vm).pause();
  }
  async vmResume(vm: string): Promise<void> {
    this.host.vm(vm).resume();
  }
  async diskAdd(vm: string, target: string, size: number): Promise<void> {
    const { disks } = this.host.vm(vm);
    if (disks.some((disk) => disk.target === target)) throw new Error(`VM ${vm} has a disk ${target} already`);
    disks.push(new FakeDisk(target, size, IMAGES));
  }
  async diskResize(vm: string, target: string, size: number): Promise<void> {
    this.host.vm(vm).disk(target).resize(size);
  }

  async write(vm: string, target: string, pattern: number, offset: number, length: number): Promise<void> {
    this.host.vm(vm).disk(target).write(pattern, offset, length);
  }
  async zero(vm: string, target: string, offset: number, length: number): Promise<void> {
    this.host.vm(vm).disk(target).zero(offset, length);
  }
  async discard(vm: string, target: string, offset: number, length: number): Promise<void> {
    if (offset % CLUSTER !== 0 || length % CLUSTER !== 0)
      throw new Error(`a discard must be aligned to 64K: ${offset} + ${length}`);
    this.host.vm(vm).disk(target).discard(offset, length);
  }
  async bitmapRemove(vm: string, target: string, bitmap: string): Promise<void> {
    if (this.host.vm(vm).live) throw new Error(`${vm} runs`);
    if (!this.host.vm(vm).disk(target).bitmaps.delete(bitmap)) throw new Error(`${target} has no bitmap ${bitmap}`);
  }
  async bitmaps(vm: string, target: string): Promise<string[]> {
    return [...this.host.vm(vm).disk(target).bitmaps.keys()].sort();
  }

  async moment(vm: string, label: string): Promise<void> {
    for (const { target, content } of this.host.vm(vm).disks) this.#moments.set(`${vm} ${target} ${label}`, content.copy());
  }
  async same(vm: string, label: string, target: string, file: string): Promise<boolean> {
    const held = this.#moments.get(`${vm} ${target} ${label}`);
    if (!held) throw new Error(`no moment ${label} of ${vm} ${target}`);
    const image = this.#image(file);
    if (image) return sameContent(image, held);
    const { nas, path } = this.#onNas(file);
    if (!nas.files.has(path)) throw new Error(`no such file: ${file}`);
    return nas.holds(path, held);
  }

  /** A VM's volume or a restored disk. */
  #image(path: string): ClusterMap | undefined {
    const volumes = [...this.host.vms.values()].flatMap(({ disks }) => disks);
    return (volumes.find((disk) => disk.path === path) ?? this.host.images.get(path))?.content;
  }

  async domainRemove(name: string): Promise<void> {
    this.host.vms.delete(name);
  }

  async nas(name: string): Promise<string> {
    const address = `${NAS}/${name}`;
    if (!this.host.nases.has(address)) this.host.addNas(address);
    return address;
  }
  async nasSmall(name: string, mebibytes: number): Promise<string> {
    return this.host.addNas(`${NAS}/${name}`, mebibytes * 1024 * 1024).address;
  }
  nasFile(name: string, path: string): string {
    return `${NAS}/${name}/${path}`;
  }
  async read(file: string): Promise<Buffer> {
    const { nas, path } = this.#onNas(file);
    const bytes = nas.files.get(path)?.bytes;
    if (!bytes) throw new Error(`no such file: ${file}`);
    return bytes;
  }
  async put(file: string, content: string): Promise<void> {
    const { nas, path } = this.#onNas(file);
    nas.makeFolder(posix.dirname(path));
    nas.put(path, content);
  }
  async takeAway(file: string): Promise<void> {
    const { nas, path } = this.#onNas(file);
    if (!nas.files.delete(path)) nas.remove(path);
  }
  #onNas(file: string): { nas: FakeNas; path: string } {
    const nas = [...this.host.nases.values()].find(({ address }) => file.startsWith(`${address}/`));
    if (!nas) throw new Error(`no such file: ${file}`);
    return { nas, path: file.slice(nas.address.length + 1) };
  }
  async flip(file: string): Promise<void> {
    const { nas, path } = this.#onNas(file);
    const image = nas.files.get(path)?.image;
    const [index, cluster] = [...(image?.entries() ?? [])].find(([, bytes]) => bytes !== null) ?? [];
    if (!image || index === undefined || !cluster) throw new Error(`no such file, or nothing in it: ${file}`);
    image.set(
      index,
      cluster.map((byte, at) => (at === 0 ? byte ^ 1 : byte)),
    );
  }
  async leaks(allowedCheckpoints: readonly string[]): Promise<string[]> {
    const { mounts, locked, vms, nases } = this.host;
    const checkpoints = [...vms.values()].flatMap((vm) =>
      vm.checkpoints.filter((name) => !allowedCheckpoints.includes(name)).map((name) => `checkpoint\t${vm.name} ${name}`),
    );
    const folders = [...nases.values()].flatMap((nas) =>
      [...nas.folders]
        .filter((folder) => nas.size(folder) === 0 || nas.unfinished.has(folder))
        .map((folder) => `partial\t${nas.address}/${folder}`),
    );
    return [
      ...[...mounts].map((point) => `mount\t${point}`),
      ...[...locked].map((vm) => `lock\t${vm}`),
      ...[...vms.values()].filter(({ job }) => job !== null).map(({ name }) => `job\t${name}`),
      ...checkpoints,
      ...folders,
    ];
  }
  async dropConnections(): Promise<void> {
    // Calls are answered in one piece here: what a lost connection does to them is a fault (`lost-before`, `lost-after`).
  }
}
