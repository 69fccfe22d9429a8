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

/** Hours between the looks for what is without a manifest or checksums, and how full repositories are. */
const UPKEEP_HOURS = 6;
const HOUR_MS = 3_600_000;

/**
 * The upkeep: sweeps every host at the start and once in a while, makes good what runs left undone, copies the books, and looks how full
 * repositories are. A host that does not answer keeps no other waiting.
 */
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
    this.#loop ??= this.#turn();
  }

  /** Begins nothing from now on. A sweep is made of steps that may each be the last: nobody waits for the one that goes on. */
  stop(): void {
    this.#stop.abort();
  }

  beforeApplicationShutdown(): void {
    this.stop();
  }

  /** Hour by hour: what is to be done in it, one after another, for all of it asks the same hosts. */
  async #turn(): Promise<void> {
    const { signal } = this.#stop;
    const { sweepHours } = this.config.engine;
    for (let hour = 0; !signal.aborted; hour += 1) {
      if (sweepHours > 0 && hour % sweepHours === 0) await this.#do('looking for hosts to sweep failed', this.#sweepAll());
      if (hour % UPKEEP_HOURS === 0) {
        await this.#do('looking for backups without a manifest failed', this.describes.makeGood(signal));
        this.hashes.begin(signal);
      }
      // It looks by itself whether a copy is due, and which repositories do not have it yet.
      await this.#do('the books could not be copied', this.copies.turn(signal));
      if (hour % UPKEEP_HOURS === 0) await this.#do('looking how full the repositories are failed', this.spaces.turn(signal));
      await sleep(HOUR_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** What fails is told, and keeps nothing else from being done. */
  #do(ifItFails: string, chore: Promise<void>): Promise<void> {
    return chore.catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.log.error({ err: error }, ifItFails);
    });
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
