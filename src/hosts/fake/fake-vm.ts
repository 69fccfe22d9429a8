import { randomUUID } from 'node:crypto';
import type { VmState } from '../../domain/agent/facts';
import type { FakeDisk } from './fake-disk';

/** A backup job that libvirt runs on a VM. */
export interface FakeJob {
  /** Told when the guest goes or somebody ends the job. */
  readonly ended: AbortController;
  readonly destination: string;
}

/** A transient domain, as CloudStack's are: libvirt forgets it, and its checkpoints, when it stops. A restore can make another kind. */
export class FakeVm {
  readonly uuid = randomUUID();
  readonly disks: FakeDisk[] = [];
  /** libvirt knows it when it is stopped. */
  persistent = false;
  state: VmState = 'shut off';
  reason = '';
  /** Counts QEMU processes. */
  life = 0;
  /** When the QEMU process that runs now began, RFC 3339; null: none runs. */
  qemuStarted: string | null = null;
  /** Names of libvirt's checkpoints, whoever made them. */
  checkpoints: string[] = [];
  job: FakeJob | null = null;
  /** A guest agent answers, so the guest can be frozen. */
  agent = false;
  frozen = false;
  /** Programs that read its images while it is stopped: QEMU's image lock keeps it from starting. */
  imagesInUse = 0;

  constructor(readonly name: string) {}

  get live(): boolean {
    return this.state === 'running' || this.state === 'paused';
  }

  start(now: string): void {
    if (this.live) throw new Error(`${this.name} runs already`);
    if (this.imagesInUse > 0) throw new Error(`${this.name}: Failed to get shared "write" lock: a backup reads its images`);
    this.life += 1;
    [this.state, this.reason, this.qemuStarted] = ['running', 'booted', now];
    for (const disk of this.disks) disk.written = 0;
  }

  /** A clean stop: QEMU saves its bitmaps into the images. */
  stop(): void {
    this.#mustRun();
    this.#end('guest-gone');
  }

  /** kill -9 of QEMU. */
  crash(): void {
    this.#mustRun();
    const { life } = this;
    this.#end('guest-gone');
    for (const disk of this.disks) disk.crash(life);
  }

  pause(reason = 'user'): void {
    this.#mustRun();
    [this.state, this.reason] = ['paused', reason];
  }

  resume(): void {
    this.#mustRun();
    [this.state, this.reason] = ['running', 'unpaused'];
  }

  disk(target: string): FakeDisk {
    const found = this.disks.find((disk) => disk.target === target);
    if (!found) throw new Error(`VM ${this.name} has no disk ${target}`);
    return found;
  }

  /** Takes a checkpoint and its bitmap away from every disk. */
  dropBitmap(name: string): void {
    this.checkpoints = this.checkpoints.filter((checkpoint) => checkpoint !== name);
    for (const disk of this.disks) disk.bitmaps.delete(name);
  }

  #end(why: string): void {
    this.job?.ended.abort(why);
    [this.state, this.reason, this.qemuStarted] = ['shut off', '', null];
    [this.checkpoints, this.job, this.frozen] = [[], null, false];
  }

  #mustRun(): void {
    if (!this.live) throw new Error(`${this.name} does not run`);
  }
}
