import { execFile } from 'node:child_process';
import { readdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Facts } from '../../src/domain/agent/facts';
import type { RealLab } from '../lab/lab';
import type { Situation } from './guest-situations';
import { HostScript } from './host-script';
import type { Mark, Panel } from './latency-plot';
import { type Felt, WatchedGuest } from './watched-guest';

const run = promisify(execFile);
const AROUND = 2_000;

/** Where bytes go: a NAS on the lab's slow line. */
export interface Place {
  readonly lab: RealLab;
  readonly line: string;
  readonly nas: string;
}

export type Way = 'push' | 'pull';

/** What of the host script's settings a situation needs; the lab's disks are small: no reserve unless said. */
export async function settle({ lab }: Place, reserve = 0, scratch = join(lab.folder, 'host/scratch')): Promise<void> {
  const lines = [`state_dir=${join(lab.folder, 'host/state')}`, `scratch_dir=${scratch}`, `reserve_bytes=${reserve}`];
  await writeFile(join(lab.folder, 'host/host.conf'), `${lines.join('\n')}\n`);
}

/** One situation by one way: what the guest felt, as a picture. @throws where a byte is wrong */
export async function playScene(place: Place, vm: string, way: Way, situation: Situation): Promise<Panel> {
  const { lab, line } = place;
  const { nasMiB, scratchMiB, reserve, agent, speed } = situation;
  const nas = nasMiB ? (await lab.verb('nas-small', `${nasMiB}`, `${vm}-${way}`, place.nas)).trim() : place.nas;
  await settle(place, reserve, scratchMiB ? await lab.nasSmall(`${vm}-scratch`, scratchMiB) : undefined);
  const guest = await WatchedGuest.start(lab, vm, agent);
  const scene = new Scene(place, guest, nas, way);
  try {
    await sleep(AROUND);
    await scene.speed(speed);
    const first = guest.acked;
    await situation.play(scene);
    await lab.verb('nas-speed', line, 'unlimited');
    await guest.goesOn();
    const felt = await guest.felt(first, guest.acked);
    await sleep(AROUND);
    const panel = scene.panel(felt);
    await guest.end();
    return panel;
  } finally {
    guest.leave();
    await lab.verb('nas-speed', line, 'unlimited');
    await rm(join(nas, vm), { recursive: true, force: true });
    await settle(place);
  }
}

/** What a situation is played with. */
export class Scene {
  readonly #began = performance.now();
  readonly #script: HostScript;
  readonly #marks: { at: number; label: string; until?: number }[] = [];
  #run: { from: number; to: number } | null = null;
  #first = 0;
  #pausedMs = 0;

  constructor(
    private readonly place: Place,
    readonly guest: WatchedGuest,
    private readonly nas: string,
    private readonly way: Way,
  ) {
    this.#script = new HostScript(place.lab, guest.vm);
  }

  async speed(to: string): Promise<void> {
    await this.place.lab.verb('nas-speed', this.place.line, to);
  }

  /** The moment of the trouble. @returns what ends it, where it has an end */
  mark(label: string): () => void {
    const mark: { at: number; label: string; until?: number } = { at: performance.now(), label };
    this.#marks.push(mark);
    return () => (mark.until = performance.now());
  }

  async full(...more: readonly string[]): Promise<Facts> {
    this.#first = this.guest.acked;
    const from = performance.now();
    try {
      return await this.#script.full(this.nas, '--transfer', this.way, ...more);
    } finally {
      this.#run = { from, to: performance.now() };
    }
  }

  /** The backup ends well, and is the disk at one moment of its time. */
  async point(backup: Promise<Facts>): Promise<void> {
    await backup;
    const last = this.guest.acked;
    await this.speed('unlimited');
    await this.guest.same(join(this.nas, this.#script.file), this.#first, last + 1);
  }

  /** The backup ends with that code. */
  async fails(backup: Promise<Facts>, code: string): Promise<void> {
    const stdout = await backup.then(
      () => '',
      (error: { readonly stdout?: string }) => `${error.stdout}`,
    );
    const facts = JSON.parse(/^FACTS=(.*)$/m.exec(stdout)?.[1] ?? '{}') as Partial<Facts>;
    if (facts.error?.code !== code) throw new Error(`expected ${code}: ${stdout || 'the backup ended well'}`);
    this.#pausedMs = facts.guest?.pausedMs ?? 0;
  }

  /** Returns when data of the backup has come to the NAS. */
  async copying(): Promise<void> {
    const folder = join(this.nas, this.guest.vm);
    for (;;) {
      const files = await readdir(folder, { recursive: true }).catch(() => []);
      const sizes = await Promise.all(
        files.filter((file) => file.endsWith('.qcow2')).map(async (file) => (await stat(join(folder, file))).size),
      );
      if (sizes.some((size) => size > 4 * 1024 * 1024)) return;
      await sleep(50);
    }
  }

  /** Another one fills the NAS, all but so many bytes. */
  async fillNas(but: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.nas);
    await run('fallocate', ['-l', `${bavail * bsize - but}`, join(this.nas, 'filler')]);
  }

  panel({ longestGapMs }: Felt): Panel {
    const after = (at: number): number => at - this.#began;
    return {
      points: this.guest.writes.flatMap(({ at, ms }) => (at < this.#began ? [] : [{ at: after(at), ms }])),
      run: this.#run && { from: after(this.#run.from), to: after(this.#run.to) },
      marks: this.#marks.map(({ at, label, until }): Mark => ({ at: after(at), label, until: after(until ?? at) })),
      // Its board clock has whole seconds: of a shorter pause only the host script tells.
      longestGapMs: Math.max(longestGapMs, this.#pausedMs),
    };
  }
}
