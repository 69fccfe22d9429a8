import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dialect, HostFacts } from '../../domain/agent/facts';
import type { FakeJobDirectory } from './script/jobs';
import type { FakeDisk } from './fake-disk';
import { FakeNas } from './fake-nas';
import type { FakeVm } from './fake-vm';
import { FaultPlan } from './fault-plan';

/** What lies at the path of the host script. */
export interface InstalledFile {
  readonly sha256: string;
  readonly content: Uint8Array;
}

const GIB = 1024 ** 3;

/** A hypervisor in memory: machines, NAS exports, and what the host script keeps between calls. */
export class FakeHost {
  readonly vms = new Map<string, FakeVm>();
  readonly nases = new Map<string, FakeNas>();
  readonly jobs = new Map<string, FakeJobDirectory>();
  /** The highest epoch seen, by VM. */
  readonly fences = new Map<string, number>();
  /** VMs that an operation works on. */
  readonly locked = new Set<string>();
  /** Restored disks that are no VM's volumes, by path. */
  readonly images = new Map<string, FakeDisk>();
  /** Jobs whose restore has begun to write and not said its end, each with its VM. */
  readonly restoring = new Map<string, string>();
  /** Jobs whose restore had put all in place. */
  readonly placed = new Set<string>();
  /** Files that were put there, by path. */
  readonly installed = new Map<string, InstalledFile>();
  /** `USER PATH` of every sudoers line, and the users that may become root. */
  readonly sudoers = new Set<string>();
  readonly admins = new Set<string>(['root']);
  /** Mounts that stayed behind. */
  readonly mounts = new Set<string>();
  readonly faults = new FaultPlan();
  /** What no abort can put back. */
  readonly stuck: string[] = [];
  /** What the stock script speaks, if there is one. */
  stock: Dialect | null = null;
  /** Bytes that were handed over for jobs, by job. */
  readonly inputs = new Map<string, Buffer>();
  /** Jobs that a plain shell keeps in the home of the SSH user. */
  readonly homeJobs = new Map<string, FakeJobDirectory>();
  bootId: string = randomUUID();
  /** What must stay free on a NAS while a job runs, in bytes. */
  reserve = 0;
  /** Milliseconds that each phase of a run takes, so that one can come in between. */
  paceMs = 0;
  #lastTick = 0;
  #ahead = 0;

  constructor(readonly name: string) {}

  /** Lets the host's clock go on: what takes no time here takes some on a real host. */
  elapse(ms: number): void {
    this.#ahead += ms;
  }

  /** RFC 3339; never twice the same. */
  now(): string {
    this.#lastTick = Math.max(Date.now() + this.#ahead, this.#lastTick + 1);
    return new Date(this.#lastTick).toISOString();
  }

  /** Takes one phase's time; the signal ends the waiting. */
  async pace(signal?: AbortSignal): Promise<void> {
    await sleep(this.paceMs, undefined, { signal, ref: true }).catch(() => undefined);
  }

  facts(): HostFacts {
    return { name: this.name, bootId: this.bootId, libvirt: '9.0.0', qemu: '7.2.22' };
  }

  vm(name: string): FakeVm {
    const found = this.vms.get(name);
    if (!found) throw new Error(`there is no VM ${name}`);
    return found;
  }

  /** Whether there is such a folder: one that some VM's disk lies in. */
  hasFolder(path: string): boolean {
    return [...this.vms.values()].some(({ disks }) => disks.some((disk) => posix.dirname(disk.path) === path));
  }

  addNas(address: string, capacity = 100 * GIB): FakeNas {
    const nas = new FakeNas(address, capacity);
    this.nases.set(address, nas);
    return nas;
  }

  /** A power cut: every VM and every job dies at once. */
  reboot(): void {
    for (const vm of this.vms.values()) if (vm.live) vm.crash();
    for (const job of [...this.jobs.values(), ...this.homeJobs.values()]) job.kill();
    this.bootId = randomUUID();
    this.locked.clear();
    this.mounts.clear();
  }
}
