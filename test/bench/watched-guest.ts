import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RealLab } from '../lab/lab';

const run = promisify(execFile);
const EVERY_MS = 20;
const LINE = /^w (\d+) (\d+) \d+ \d+ 0\r?$/;

/** A write that was acknowledged. */
export interface Write {
  /** When the host saw the guest's line of it, in ms of `performance.now()`: the guest's clock stands still with the guest. */
  readonly at: number;
  /** What it took by the guest's own clock. */
  readonly ms: number;
}

/** How a guest's writes went, by its own log. */
export interface Felt {
  readonly seconds: number;
  readonly writesPerSecond: number;
  /** Longest time from one acknowledged write to the next; a pause counts. */
  readonly longestGapMs: number;
  readonly slowestWriteMs: number;
}

/** A guest agent as it may be; `missing`: there is a port for one, and nobody at it. */
export type Agent = 'missing' | 'works' | 'mute' | 'refuses';

/** The lab's real guest, writing all the time over data that is there, and what its log says. */
export class WatchedGuest {
  /** Of its log, in order: the write with number n is at n - 1. */
  readonly writes: Write[] = [];
  readonly #watch: NodeJS.Timeout;
  #from = 0;
  #rest = '';
  #reading = false;

  private constructor(
    private readonly lab: RealLab,
    readonly vm: string,
  ) {
    this.#watch = setInterval(() => void this.#read(), EVERY_MS);
  }

  static async start(lab: RealLab, vm: string, agent?: Agent): Promise<WatchedGuest> {
    await lab.verb('vm-create', vm, ...(agent ? ['--agent'] : []), 'vda:64M');
    await lab.verb('write', vm, 'vda', '0x5a', '0', '64M');
    await lab.verb('guest', vm, '20', ...(agent && agent !== 'missing' ? [agent] : []));
    await lab.vmStart(vm);
    const guest = new WatchedGuest(lab, vm);
    await guest.goesOn();
    return guest;
  }

  /** The number of the last write that was acknowledged. */
  get acked(): number {
    return this.writes.length;
  }

  /** It runs, and acknowledges ten writes more. */
  async goesOn(): Promise<void> {
    const from = this.acked;
    const until = performance.now() + 120_000;
    while (this.acked < from + 10) {
      if (performance.now() > until) throw new Error(`${this.vm} does not write: ${await this.virsh('domstate', '--reason')}`);
      await sleep(EVERY_MS);
    }
  }

  /** Between two of its writes. @throws when one in between has failed */
  async felt(first: number, last: number): Promise<Felt> {
    const told = await this.lab.verb('guest-felt', this.vm, `${first}`, `${last}`);
    const [failed, longestGapMs = NaN, slowestWriteMs = NaN] = told.trim().split('\t').map(Number);
    if (failed !== 0) throw new Error(`${failed} writes of ${this.vm} have failed`);
    const [from, to] = [this.writes[first - 1], this.writes[last - 1]];
    if (!from || !to) throw new Error(`${this.vm} has acknowledged ${this.acked} writes, not ${last}`);
    const seconds = (to.at - from.at) / 1000;
    return { seconds, writesPerSecond: (last - first) / seconds, longestGapMs, slowestWriteMs };
  }

  /** A restore point is the disk at one moment between two writes. @throws when it is not, byte for byte */
  async same(file: string, first: number, last: number): Promise<void> {
    await this.lab.verb('guest-same', this.vm, file, `${first}`, `${last}`);
  }

  /** The end: it goes on, what it was promised is on its disk, and it is gone. */
  async end(): Promise<void> {
    try {
      await this.goesOn();
      await this.lab.vmStop(this.vm);
      await this.#read();
      const [disk] = await this.lab.vmDisks(this.vm);
      // One more may be there: it was stopped before it could say so.
      await this.same(disk?.path ?? '', this.acked, this.acked + 1);
    } finally {
      this.leave();
    }
    await this.lab.vmRemove(this.vm);
  }

  leave(): void {
    clearInterval(this.#watch);
  }

  async virsh(command: string, ...options: readonly string[]): Promise<string> {
    return (await run('virsh', ['-q', '-c', 'qemu:///system', command, this.vm, ...options])).stdout.trim();
  }

  async #read(): Promise<void> {
    while (this.#reading) await sleep(1);
    this.#reading = true;
    try {
      const log = await open(join(this.lab.folder, 'run', `${this.vm}.guest.log`));
      try {
        const { buffer, bytesRead } = await log.read({ buffer: Buffer.alloc(65_536), position: this.#from });
        this.#from += bytesRead;
        const lines = (this.#rest + buffer.toString('latin1', 0, bytesRead)).split('\n');
        this.#rest = lines.pop() ?? '';
        for (const line of lines) {
          const [, number, ms] = LINE.exec(line) ?? [];
          if (Number(number) === this.acked + 1) this.writes.push({ at: performance.now(), ms: Number(ms) });
        }
      } finally {
        await log.close();
      }
    } finally {
      this.#reading = false;
    }
  }
}
