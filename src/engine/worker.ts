import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import { Claims, type TakenRun } from '../database/repositories/claims';
import { Leases } from '../database/repositories/leases';
import { Runs } from '../database/repositories/runs';
import { DELETING, type RunRow } from '../database/entities/run-row';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { Deleter } from './deleter';
import { Doorbell } from './doorbell';
import { keepLease } from './keep-lease';
import { LookLog } from './look-log';
import { Queue } from './queue';
import { Restorer } from './restorer';
import { Runner } from './runner';
import { JOB_TRANSPORT, type JobTransport } from './transports/job-transport';

/** Runs that their owners have left are looked for no more often: a lease takes seconds to run out. */
const SEEK_MS = 250;

/**
 * Claims runs and drives them: those that owners who died or slept through their leases have left, and queued ones whose turn it is. What a
 * run does is the runner's; here is only who may do it.
 */
@Injectable()
export class Worker implements BeforeApplicationShutdown {
  /** Claims nothing any more. */
  readonly #stop = new AbortController();
  /** Drives nothing any more. */
  readonly #letGo = new AbortController();
  readonly #bell = new Doorbell();
  #soughtAt = -Infinity;
  readonly #active = new Map<string, Promise<boolean>>();
  #loop: Promise<void> | undefined;
  readonly looks: LookLog;

  constructor(
    private readonly runs: Runs,
    private readonly leases: Leases,
    private readonly claims: Claims,
    private readonly queue: Queue,
    private readonly runner: Runner,
    private readonly deleter: Deleter,
    private readonly restorer: Restorer,
    @Inject(JOB_TRANSPORT) private readonly transport: JobTransport,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {
    this.looks = new LookLog(log, 'work');
  }

  start(): void {
    if (this.#loop !== undefined) return;
    this.#loop = this.#turn();
    // An id is a reason to look and no more: whether that run, or an older one, may begin is in the books.
    this.transport.listen(async (runId) => {
      if (this.#active.has(runId)) return true;
      this.queue.heardOf(runId);
      this.#soughtAt = -Infinity;
      return this.#bell.call();
    });
  }

  /** Claims nothing from now on, and what it may have heard of goes to another. The runs that it drives go on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const left = this.transport.leave();
    this.#bell.close();
    await this.#loop;
    await left;
  }

  /** How many runs it drives. */
  get driving(): number {
    return this.#active.size;
  }

  /** Waits until all that it drives has ended; after `stop` nothing is added to that. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#active.values());
  }

  /**
   * Lets go of the runs that it drives: they live on their hosts, their leases are given back, and whoever looks next adopts them. A backup may
   * take hours; a shutdown may not.
   */
  async letGo(): Promise<void> {
    this.#letGo.abort();
    await this.ended();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
    await this.letGo();
    await this.transport.close();
  }

  async #turn(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // A database that is away for a moment must not end the loop, nor fill the log.
      await this.#claimAll().then(
        (looked) => {
          this.looks.ended(null);
          if (looked) this.#bell.looked();
        },
        (error: unknown) => this.looks.ended(error),
      );
      await this.#bell.rest(this.transport.restMs);
    }
  }

  /** False: there is no place for another run, so nobody has looked. */
  async #claimAll(): Promise<boolean> {
    const free = this.config.engine.runsAtOnce - this.queue.driven.size;
    if (free <= 0) return false;
    if (performance.now() - this.#soughtAt > SEEK_MS) {
      // Ours that go on are in the books as running too, with a lease that has not run out; they are not listed here.
      for (const run of await this.runs.abandoned(free)) if (!this.#active.has(run.id)) await this.#claim(run);
      this.#soughtAt = performance.now();
    }
    let lost = 0;
    for (const run of await this.queue.pick())
      if (await this.#claim(run)) this.queue.began(run);
      else lost += 1;
    if (this.queue.lost(lost)) this.#bell.ring();
    return true;
  }

  async #claim(run: Pick<RunRow, 'id' | 'vmId' | 'state'>): Promise<boolean> {
    if (this.#stop.signal.aborted) return false;
    const { owner, leaseSeconds } = this.config.engine;
    const taken = await this.claims.take(run, owner, leaseSeconds * 1000, () => this.queue.mayBegin(run));
    if (taken === null) return false;
    this.queue.driven.add(run.id);
    const driven = this.#drive(taken).finally(() => this.#active.delete(run.id));
    this.#active.set(run.id, driven);
    // Its place, its VM and its host are free again.
    void driven.then((well) => well && this.#bell.ring());
    return true;
  }

  /** Whether it went its way; a run that could not be driven waits for the next look. */
  async #drive({ run, lease }: TakenRun): Promise<boolean> {
    const log = this.log.child({ runId: run.id, vmId: run.vmId });
    const kept = keepLease(lease, this.leases, this.config.engine.leaseSeconds * 1000, log);
    try {
      const lost = AbortSignal.any([this.#letGo.signal, kept.lost]);
      const hears = (answers: boolean): void => {
        if (answers) this.queue.driven.add(run.id);
        else this.queue.driven.delete(run.id);
      };
      if (DELETING.includes(run.kind)) await this.deleter.drive(run, lease, lost);
      else if (run.kind === 'restore') await this.restorer.drive(run, lease, lost, hears);
      else await this.runner.drive(run, lease, lost, hears);
      return true;
    } catch (error) {
      if (this.#letGo.signal.aborted) log.info('let go of the run: it goes on on its host, and whoever looks next adopts it');
      else log.error({ err: error }, 'driving the run failed; it will be looked at again');
      return false;
    } finally {
      this.queue.driven.delete(run.id);
      await kept.giveBack();
      // Without word of it others would find it a while later.
      if (this.#letGo.signal.aborted) this.transport.tell(run.id);
    }
  }
}
