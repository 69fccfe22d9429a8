import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as BullMQ from 'bullmq';
import type * as IoRedis from 'ioredis';
import type { Log } from '../../platform/log';
import type { Hear, JobTransport } from './job-transport';

const QUEUE = 'runs';
const PREFIX = 'chainkeeper';
/** Redis is asked so often whether it takes ids, and has so long to answer. */
const WATCH_MS = 1000;
const ANSWER_MS = 2000;
/** While Redis tells of runs, looking is for what it lost: so many times the usual rest. */
const PATIENCE = 10;
/** A worker's connection whose command has no answer for so long is made anew: a read there waits 10 s at most. */
const SILENCE_MS = 30_000;
const CLOSE_MS = 1000;

/** What is carried: the id, and nothing about the run. */
interface Told {
  readonly runId: string;
}

/**
 * Run ids through a BullMQ queue on Redis. Its locks protect nothing here: a job means that somebody should look, and is done when somebody
 * has. Redis may be flushed, killed or never there: runs are then found at the usual pace.
 */
export class BullmqTransport implements JobTransport {
  readonly #stop = new AbortController();
  readonly #teller: IoRedis.Redis;
  readonly #queue: BullMQ.Queue<Told>;
  /** What its connection last died of; the errors of its commands only say that there is none. */
  #connectionError: string | null = null;
  #trouble: string | null = null;
  #listener: { readonly worker: BullMQ.Worker<Told>; readonly connection: IoRedis.Redis } | undefined;

  private constructor(
    private readonly bullmq: typeof BullMQ,
    private readonly ioredis: typeof IoRedis,
    private readonly url: string,
    private readonly pollMs: number,
    private readonly log: Log,
  ) {
    // Fails fast: whoever writes a run down does not wait for Redis.
    this.#teller = this.#connect({ enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: ANSWER_MS });
    this.#teller.on('error', ({ message }: Error) => (this.#connectionError = message));
    this.#teller.on('ready', () => (this.#connectionError = null));
    this.#queue = new bullmq.Queue(QUEUE, { connection: this.#teller, prefix: PREFIX });
    this.#queue.on('error', (error) => this.#hush(error));
  }

  /** Opens it, and says how Redis is; that it is not there is no reason not to start. */
  static async open(
    [bullmq, ioredis]: [typeof BullMQ, typeof IoRedis],
    url: string,
    pollMs: number,
    log: Log,
  ): Promise<BullmqTransport> {
    const transport = new BullmqTransport(bullmq, ioredis, url, pollMs, log);
    await once(transport.#teller, 'ready', { signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => undefined);
    transport.#trouble = await transport.#ask();
    if (transport.#trouble === null) log.info('Redis tells the workers of new runs');
    else transport.#sayAway(transport.#trouble);
    void transport.#watch();
    return transport;
  }

  get restMs(): number {
    return this.#trouble === null ? this.pollMs * PATIENCE : this.pollMs;
  }

  get trouble(): string | null {
    return this.#trouble;
  }

  tell(runId: string): void {
    if (this.#trouble !== null || this.#stop.signal.aborted) return;
    // BullMQ takes no id that is a number or has a colon. The same id twice is one job, while it waits.
    const options = { jobId: `run-${runId.replaceAll(':', '_')}`, attempts: 1, removeOnComplete: true, removeOnFail: true };
    this.#queue.add('run', { runId }, options).catch((error: unknown) => this.#hush(error));
  }

  listen(hear: Hear): void {
    const connection = this.#connect({ maxRetriesPerRequest: null, socketTimeout: SILENCE_MS });
    const { Worker, WaitingError } = this.bullmq;
    const worker = new Worker<Told>(
      QUEUE,
      async (job, token) => {
        if (await hear(job.data.runId)) return;
        await job.moveToWait(token);
        throw new WaitingError();
      },
      // One at a time: what this instance has no place for is left to those that have.
      { connection, prefix: PREFIX, concurrency: 1, maxStalledCount: 0, runRetryDelay: WATCH_MS },
    );
    worker.on('error', (error) => this.#hush(error));
    this.#listener = { worker, connection };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const { worker, connection } = this.#listener ?? {};
    const ended = Promise.allSettled([worker?.close(), this.#queue.close()]);
    // Redis may be the one that does not answer.
    await Promise.race([ended, sleep(CLOSE_MS)]);
    await Promise.allSettled([worker?.disconnect()]);
    connection?.disconnect();
    this.#teller.disconnect();
  }

  #connect(options: IoRedis.RedisOptions): IoRedis.Redis {
    const retryStrategy = (times: number): number => Math.min(100 * times, WATCH_MS);
    const redis = new this.ioredis.Redis(this.url, { connectTimeout: ANSWER_MS, retryStrategy, ...options });
    redis.on('error', (error) => this.#hush(error));
    return redis;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    while (await sleep(WATCH_MS, true, { signal, ref: false }).catch(() => false)) {
      const trouble = await this.#ask();
      if (signal.aborted) return;
      if (trouble !== null && this.#trouble === null) this.#sayAway(trouble);
      if (trouble === null && this.#trouble !== null) this.log.info('Redis is back and tells the workers of new runs');
      this.#trouble = trouble;
    }
  }

  /** Whether it can be written to: one that is full or a replica can still be read. */
  async #ask(): Promise<string | null> {
    try {
      await this.#teller.set(`${PREFIX}:seen`, '1', 'EX', 60);
      return null;
    } catch (error) {
      return `Redis takes no run ids: ${this.#connectionError ?? (error as Error).message}`;
    }
  }

  #sayAway(trouble: string): void {
    this.log.warn({ detail: trouble }, 'Redis is away: new runs are found by looking in the database, at its usual pace');
  }

  /** How Redis is, the watch says. An error of a command may carry the words of that command, and so a password: only its text is kept. */
  #hush(error: unknown): void {
    this.log.debug({ detail: (error as Error).message }, 'Redis');
  }
}
