import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../../../src/cli/client';
import type { Random } from '../../fuzz/random';
import { type NodeScript, startScript } from '../../support/node-script';
import type { Strike } from './draw-rounds';

/** Seconds of a lease: the shortest that may be set. */
const LEASE_SECONDS = 3;
const PLACES = [0, 1] as const;

interface Orchestrator {
  readonly owner: string;
  readonly script: NodeScript;
  readonly client: Client;
  stopped: boolean;
}

/** Two orchestrators, each a process. One that is killed is followed by another at its place, under another name. */
export class Pair {
  readonly deeds = { kills: 0, stops: 0, restarts: 0 };
  readonly #places: (Orchestrator | null)[] = PLACES.map(() => null);
  #started = 0;

  constructor(
    private readonly environment: Record<string, string>,
    /** Gives an orchestrator of that name a login of its own; what it is to come in with. */
    private readonly admit: (owner: string) => Promise<Record<string, string>>,
    private readonly random: Random,
  ) {}

  /** Starts whoever is not there. */
  async complete(): Promise<void> {
    await Promise.all(PLACES.filter((place) => this.#places[place] === null).map((place) => this.#start(place)));
  }

  /** Of one that can answer; null: neither can just now. */
  get client(): Client | null {
    return this.#places.find((one) => one !== null && !one.stopped)?.client ?? null;
  }

  /** What was begun by the driver itself, to its end: whoever was stopped goes on, whoever was killed is gone, and may be back. */
  async strike(driver: string, { whom, how, restartsAtOnce }: Strike): Promise<void> {
    const struck = PLACES.filter((place) => whom === 'both' || (this.#places[place]?.owner === driver) === (whom === 'driver'));
    this.deeds[how === 'kill' ? 'kills' : 'stops'] += struck.length;
    if (how === 'stop') await this.#holdUp(struck);
    else {
      await Promise.all(struck.flatMap((place) => this.#places[place]?.script.kill() ?? []));
      for (const place of struck) this.#places[place] = null;
      if (restartsAtOnce || whom === 'both') await this.complete();
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#places.flatMap((one) => one?.script.kill() ?? []));
  }

  async #holdUp(places: readonly number[]): Promise<void> {
    const held = places.flatMap((place) => this.#places[place] ?? []);
    for (const one of held) {
      one.stopped = true;
      process.kill(one.script.pid, 'SIGSTOP');
    }
    await sleep(LEASE_SECONDS * 1000 + 500 + this.random.below(1500));
    for (const one of held) {
      process.kill(one.script.pid, 'SIGCONT');
      one.stopped = false;
    }
  }

  async #start(place: number): Promise<void> {
    this.#started += 1;
    if (this.#started > PLACES.length) this.deeds.restarts += 1;
    const owner = `place-${place}-${this.#started}`;
    const script = startScript('test/e2e/child/one-of-two.ts', null, {
      ...this.environment,
      ...(await this.admit(owner)),
      CHAINKEEPER_OWNER: owner,
      CHAINKEEPER_LEASE_SECONDS: String(LEASE_SECONDS),
    });
    // Before it is ready: a test that fails kills it all the same.
    const url = await script.line('http');
    this.#places[place] = { owner, script, client: new Client({ url }), stopped: false };
  }
}
