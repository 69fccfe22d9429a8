import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import { Hosts, isInMaintenance, type ReachableHost } from '../database/repositories/hosts';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { BooksCopies } from './books-copies';
import { DescribeService } from './describe.service';
import { HashService } from './hash.service';
import { SpaceService } from './space.service';
import { SweepService } from './sweep.service';

const PAGE = 100;
/** Hosts that are swept at the same time. */
const AT_ONCE = 8;

/** Sweeps every host at the start and once in a while, and makes good what runs left undone. A host that does not answer keeps no other waiting. */
@Injectable()
export class Sweeper implements BeforeApplicationShutdown {
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(
    private readonly hosts: Hosts,
    private readonly sweeps: SweepService,
    private readonly describes: DescribeService,
    private readonly hashes: HashService,
    private readonly copies: BooksCopies,
    private readonly spaces: SpaceService,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  start(): void {
    if (this.config.engine.sweepHours > 0) this.#loop ??= this.#turn();
  }

  /** Begins nothing from now on. A sweep is made of steps that may each be the last: nobody waits for the one that goes on. */
  stop(): void {
    this.#stop.abort();
  }

  beforeApplicationShutdown(): void {
    this.stop();
  }

  async #turn(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#sweepAll().catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.log.error({ err: error }, 'looking for hosts to sweep failed');
      });
      await this.describes.makeGood(this.#stop.signal).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.log.error({ err: error }, 'looking for backups without a manifest failed');
      });
      this.hashes.begin(this.#stop.signal);
      await this.copies.turn(this.#stop.signal).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.log.error({ err: error }, 'the books could not be copied');
      });
      await this.spaces.turn(this.#stop.signal).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.log.error({ err: error }, 'looking how full the repositories are failed');
      });
      await sleep(this.config.engine.sweepHours * 3_600_000, undefined, { signal: this.#stop.signal, ref: false }).catch(
        () => undefined,
      );
    }
  }

  async #sweepAll(): Promise<void> {
    for (let after: number | null | undefined; after !== null;) {
      const { items, next } = await this.hosts.page({ limit: PAGE, ...(after === undefined ? {} : { after }) });
      // Where a stock script takes the backups, ours changes nothing.
      await this.#sweepThese(items.filter(({ access }) => access.stockPath === null));
      after = next;
    }
  }

  async #sweepThese(waiting: ReachableHost[]): Promise<void> {
    const oneByOne = async (): Promise<void> => {
      for (let host = waiting.shift(); host && !this.#stop.signal.aborted; host = waiting.shift()) await this.#sweepOne(host);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, oneByOne));
  }

  async #sweepOne(host: ReachableHost): Promise<void> {
    try {
      // It has waited for others, and may be in maintenance by now.
      const now = await this.hosts.findById(host.id);
      if (now === null || isInMaintenance(now)) return;
      const { items } = await this.sweeps.sweepHost(host, false);
      for (const { code, subject, action, text } of items)
        this.log[action === 'left' ? 'warn' : 'info']({ host: host.name, code, subject, action, detail: text }, 'left behind');
    } catch (error) {
      if (!this.#stop.signal.aborted) this.log.warn({ err: error, host: host.name }, 'the host could not be swept this time');
    }
  }
}
