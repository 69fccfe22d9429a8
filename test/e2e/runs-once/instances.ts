import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../fuzz/random';
import { type NodeScript, startScript } from '../../support/node-script';

/** Seconds of a lease: the shortest that may be set. */
const LEASE_SECONDS = 3;
const HOUR_MS = 3_600_000;

/** A place for an instance. One that is killed is followed by another at the same place. */
interface Place {
  script: NodeScript;
  url: string;
  /** Something is done to it just now. */
  busy: boolean;
}

/** What was done to the instances. */
export interface Deeds {
  kills: number;
  stops: number;
}

/** Orchestrators, each a process, that are killed and held up at random. The clock of the first is an hour wrong. */
export class Instances {
  readonly deeds: Deeds = { kills: 0, stops: 0 };
  readonly #places: Place[] = [];
  readonly #going = new Set<Promise<void>>();
  #started = 0;

  constructor(
    private readonly environment: Record<string, string>,
    /** Gives an orchestrator of that name a login of its own; what it is to come in with. */
    private readonly admit: (owner: string) => Promise<Record<string, string>>,
    private readonly random: Random,
  ) {}

  async start(howMany: number): Promise<void> {
    const started = Array.from({ length: howMany }, (_, place) => this.#start(place));
    this.#places.push(...(await Promise.all(started)).map((one) => ({ ...one, busy: false })));
  }

  /** Of the one whose clock is right and that was started first. */
  get url(): string {
    return this.#places.at(-1)?.url ?? '';
  }

  get strikes(): number {
    return this.deeds.kills + this.deeds.stops;
  }

  /** Does something bad to one of them. One is always left alone; it is a moment until the others are back. */
  strike(): void {
    const free = this.#places.filter(({ busy }) => !busy);
    if (free.length < 2) return;
    const place = this.random.pick(free);
    place.busy = true;
    const done = (this.random.oneIn(2) ? this.#replace(place) : this.#holdUp(place)).finally(() => {
      place.busy = false;
      this.#going.delete(done);
    });
    this.#going.add(done);
  }

  /** Waits until all are back. */
  async settle(): Promise<void> {
    await Promise.all(this.#going);
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#going);
    await Promise.all(this.#places.map(({ script }) => script.kill()));
  }

  async #replace(place: Place): Promise<void> {
    this.deeds.kills += 1;
    await place.script.kill();
    Object.assign(place, await this.#start(this.#places.indexOf(place)));
  }

  /** Longer than its lease: others take its runs, and it wakes up in the middle of what was its own. */
  async #holdUp(place: Place): Promise<void> {
    this.deeds.stops += 1;
    const { pid } = place.script;
    process.kill(pid, 'SIGSTOP');
    await sleep(LEASE_SECONDS * 1000 + 500 + this.random.below(2000));
    process.kill(pid, 'SIGCONT');
    // What it was about to do, it does now.
    await sleep(500 + this.random.below(1000));
  }

  async #start(place: number): Promise<Pick<Place, 'script' | 'url'>> {
    for (;;) {
      this.#started += 1;
      const owner = `place-${place}-${this.#started}`;
      const wrongBy = place > 0 ? 0 : this.random.oneIn(2) ? HOUR_MS : -HOUR_MS;
      const script = startScript('test/e2e/child/one-of-many.ts', null, {
        ...this.environment,
        ...(await this.admit(owner)),
        CHAINKEEPER_OWNER: owner,
        CHAINKEEPER_LEASE_SECONDS: String(LEASE_SECONDS),
        CHAINKEEPER_TEST_CLOCK_MS: String(wrongBy),
        CHAINKEEPER_TEST_SEED: String(this.random.below(2 ** 31)),
      });
      const url = await script.line('http').catch(async (error: unknown) => {
        // It does not start while the database is away: whatever keeps it running starts it again.
        if (/database\.unreachable/.test((await script.end()).err)) return null;
        throw error;
      });
      if (url !== null) return { script, url };
    }
  }
}
