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
  #worker: BullMQ.Worker<Told> | undefined;
  /** What is heard just now, until it is taken in or handed on. */
  #hearing: Promise<void> = Promise.resolve();
  /** What is told just now. */
  readonly #telling = new Set<Promise<unknown>>();
  /** All that were made, by us or for BullMQ. */
  readonly #connections: IoRedis.Redis[] = [];

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
    const telling = this.#queue
      .add('run', { runId }, options)
      .catch((error: unknown) => this.#hush(error))
      .finally(() => this.#telling.delete(telling));
    this.#telling.add(telling);
  }

  listen(hear: Hear): void {
    const connection = this.#connect({ maxRetriesPerRequest: null });
    this.#worker = new this.bullmq.Worker<Told>(
      QUEUE,
      (job, token) => (this.#hearing = this.#take(job, token, hear)),
      // One at a time: what this instance has no place for is left to those that have.
      { connection, prefix: PREFIX, concurrency: 1, maxStalledCount: 0, runRetryDelay: WATCH_MS },
    );
    this.#worker.on('error', (error) => this.#hush(error));
  }

  async #take(job: BullMQ.Job<Told>, token: string | undefined, hear: Hear): Promise<void> {
    if (await hear(job.data.runId)) return;
    await job.moveToWait(token);
    throw new this.bullmq.WaitingError();
  }

  leave(): Promise<void> {
    // By force: else BullMQ waits for a Redis that never was there, and its timers go on for ever.
    return inTime([this.#worker?.close(true), this.#hearing]);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const told = Promise.allSettled(this.#telling);
    await inTime([this.leave(), told.then(() => this.#queue.close())]);
    for (const connection of this.#connections) connection.disconnect();
  }

  #connect(options: IoRedis.RedisOptions): IoRedis.Redis {
    const retryStrategy = (times: number): number => Math.min(100 * times, WATCH_MS);
    return this.#own(new this.ioredis.Redis(this.url, { connectTimeout: ANSWER_MS, retryStrategy, ...options }));
  }

  /** BullMQ makes a second connection of a worker's, to wait on. */
  #own(redis: IoRedis.Redis): IoRedis.Redis {
    const duplicate = redis.duplicate.bind(redis);
    redis.duplicate = (override) => this.#own(duplicate(override));
    redis.on('error', (error) => this.#hush(error));
    this.#connections.push(redis);
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

/** Redis may let us wait. */
async function inTime(ends: readonly unknown[]): Promise<void> {
  await Promise.race([Promise.allSettled(ends), sleep(CLOSE_MS, undefined, { ref: false })]);
}
