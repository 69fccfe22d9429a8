import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseConfig } from '../../src/database/data-source';
import { Runs } from '../../src/database/repositories/runs';
import { openTransport } from '../../src/engine/transports/open-transport';
import { loadConfig } from '../../src/platform/config/load-config';
import { createLog } from '../../src/platform/log';
import { startMariadb } from '../support/mariadb';
import { startRedis } from '../support/redis';
import { environmentOf } from '../support/service-config';
import { BareRuns, sampleRun } from './bare-run';
import type { BenchResult } from './bench-result';
import { EngineBooks } from './engine-books';
import { benchLongQueue } from './long-queue';
import { cpuSeconds, median, round } from './rounds';

/** Runs that one orchestrator drives at a time, and connections of what is done by hand. */
const WIDTH = 8;
const WORKERS = 4;
/** Between two runs, where it is measured how soon they start. */
const EVERY_MS = 100;

/**
 * Real workers, as processes of their own, with hosts whose jobs take no time: a run against its bare rows by hand, four workers against one, and
 * how soon a run that was written down starts on its host.
 */
export async function benchEngine(quick: boolean): Promise<BenchResult> {
  const server = await startMariadb();
  const redis = await startRedis();
  const folder = mkdtempSync(join(tmpdir(), 'ck-bench-'));
  try {
    // As in the field: what is committed outlives the machine.
    await server.asRoot('SET GLOBAL innodb_flush_log_at_trx_commit = 1');
    const newDatabase = (): Promise<DatabaseConfig> => server.newDatabase();
    const mariadb = await againstBare(newDatabase, quick);
    const polling = await workersAgainstOne(newDatabase, {}, quick);
    const bullmq = await workersAgainstOne(newDatabase, { CHAINKEEPER_REDIS_URL: `${redis.url}/1` }, quick);
    const soon = {
      polling: await queueToStart(await newDatabase(), {}, quick),
      bullmq: await queueToStart(await newDatabase(), { CHAINKEEPER_REDIS_URL: `${redis.url}/2` }, quick),
    };
    const longQueue = await benchLongQueue(await newDatabase());
    let files = 0;
    const newFile = async (): Promise<DatabaseConfig> => ({ kind: 'sqlite', path: join(folder, `books-${(files += 1)}.sqlite`) });
    const sqlite = await againstBare(newFile, quick);
    return {
      bench: 'engine',
      ratios: { runs_vs_limit: mariadb.ratio, speedup_4_workers: polling.speedup, speedup_4_workers_bullmq: bullmq.speedup },
      values: {
        queue_to_start_p99_ms: { polling: soon.polling.p99, bullmq: soon.bullmq.p99 },
        ...{ mariadb, sqlite, workers: { polling, bullmq }, queue_to_start_ms: soon, long_queue: longQueue },
      },
      limit: { what: 'ms of a run by hand: its rows and how it is taken, at the same concurrency', ms: mariadb.by_hand_ms },
    };
  } finally {
    await redis.stop();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a run takes the engine, and by hand; in turns, each on books of its own. */
async function againstBare(newBooks: () => Promise<DatabaseConfig>, quick: boolean) {
  const vms = quick ? 100 : 300;
  const books = await EngineBooks.open(await newBooks(), vms);
  const bareBooks = await EngineBooks.open(await newBooks(), vms);
  const worker = await startWorker(books.config, vms);
  let bare: BareRuns | undefined;
  try {
    const byEngine = (): Promise<number> =>
      msEach(vms, async () => {
        await new Runs(books.work).createMany(books.runs(vms));
        await books.allEnded();
      });
    // The first of each VM is a full, and what comes later is what there is most of.
    for (let turn = 0; turn < 2; turn += 1) await byEngine();
    bare = await BareRuns.open(bareBooks.config, await sampleRun(books.source), WIDTH);
    await bare.prepare(bareBooks.vmIds);
    const byHand = (): Promise<number> => msEach(vms, () => (bare as BareRuns).run(bareBooks.vmIds));
    await byHand();
    const turns: { engine: number; hand: number; cpu: number }[] = [];
    const bytes = await bytesOf(books);
    for (let turn = 0; turn < (quick ? 3 : 7); turn += 1) {
      const first = turn % 2 === 0 ? await byHand() : 0;
      const cpu = cpuSeconds(worker.pid);
      const engine = await byEngine();
      turns.push({ engine, cpu: (1000 * (cpuSeconds(worker.pid) - cpu)) / vms, hand: first || (await byHand()) });
    }
    return {
      ratio: round(median(turns.map(({ engine, hand }) => engine / hand))),
      engine_ms: round(median(turns.map(({ engine }) => engine))),
      by_hand_ms: round(median(turns.map(({ hand }) => hand))),
      worker_cpu_ms: round(median(turns.map(({ cpu }) => cpu))),
      books_kib_each: round(((await bytesOf(books)) - bytes) / 1024 / turns.length / vms),
      turns: turns.map(({ engine, hand }) => round(engine / hand)),
    };
  } finally {
    await bare?.close();
    await worker.stop();
    await books.source.destroy();
    await bareBooks.source.destroy();
  }
}

/** As many runs by four workers and by one, in turns; each on books of its own. */
async function workersAgainstOne(newBooks: () => Promise<DatabaseConfig>, more: Record<string, string>, quick: boolean) {
  const vms = quick ? 100 : 400;
  const sides: { readonly books: EngineBooks; readonly queue: Queue; readonly workers: readonly InstantWorker[] }[] = [];
  try {
    for (const howMany of [1, WORKERS]) {
      const books = await EngineBooks.open(await newBooks(), vms);
      const started = Array.from({ length: howMany }, () => startWorker(books.config, vms, more));
      sides.push({ books, queue: await openQueue(books, more), workers: await Promise.all(started) });
    }
    const turn = async (which: number): Promise<number> => {
      const { books, queue } = sides[which] as (typeof sides)[number];
      // Each worker has a host of its own, which knows nothing of the bitmaps on the others'.
      return msEach(vms, async () => {
        await queue.runs.createMany(books.runs(vms, 'full'));
        await books.allEnded();
      });
    };
    for (const side of sides.keys()) await turn(side);
    const turns: { one: number; four: number }[] = [];
    for (let round = 0; round < (quick ? 2 : 5); round += 1) {
      const four = round % 2 === 1 ? await turn(1) : 0;
      const one = await turn(0);
      turns.push({ one, four: four || (await turn(1)) });
    }
    return {
      speedup: round(median(turns.map(({ one, four }) => one / four))),
      one_ms: round(median(turns.map(({ one }) => one))),
      four_ms: round(median(turns.map(({ four }) => four))),
    };
  } finally {
    for (const { books, queue, workers } of sides) {
      await queue.close();
      await Promise.all(workers.map((worker) => worker.stop()));
      await books.source.destroy();
    }
  }
}

/** From the moment that a run was written down to that at which its job was started on its host, where a run comes every tenth of a second. */
async function queueToStart(config: DatabaseConfig, more: Record<string, string>, quick: boolean) {
  const vms = quick ? 60 : 300;
  const books = await EngineBooks.open(config, vms);
  const worker = await startWorker(config, vms, { CHAINKEEPER_TEST_TELLS: 'starts', ...more });
  const queue = await openQueue(books, more);
  try {
    const began = new Map<string, number>();
    worker.onLine((line) => {
      const [, job = '', at] = /^began (\S+) (\S+)$/.exec(line) ?? [];
      if (!began.has(job)) began.set(job, Number(at));
    });
    const ms: { id: string; at: number }[] = [];
    for (const run of books.runs(vms, 'full')) {
      await queue.runs.create(run);
      ms.push({ id: run.id, at: performance.timeOrigin + performance.now() });
      // Not in step with how often workers look.
      await sleep(EVERY_MS * (0.5 + Math.random()));
    }
    await books.allEnded();
    const waits = ms.map(({ id, at }) => (began.get(id) ?? NaN) - at).sort((a, b) => a - b);
    return { p50: round(median(waits)), p99: round(waits[Math.floor(waits.length * 0.99)] ?? NaN), runs: vms };
  } finally {
    await queue.close();
    await worker.stop();
    await books.source.destroy();
  }
}

/** Where runs are written down, and told of as the service would. */
interface Queue {
  readonly runs: Runs;
  close(): Promise<void>;
}

async function openQueue({ config, work }: EngineBooks, more: Record<string, string>): Promise<Queue> {
  const settings = loadConfig(environmentOf(config, { CHAINKEEPER_POLL_MS: '500', ...more }));
  const transport = await openTransport(settings, createLog(settings.log));
  const runs = new Runs(work);
  runs.onQueued((id) => transport.tell(id));
  return { runs, close: () => transport.close() };
}

/** What the books take on disk, without what a server keeps for itself. */
async function bytesOf({ config, source }: EngineBooks): Promise<number> {
  if (config.kind === 'sqlite') {
    const [pages] = await source.query<Record<string, number>[]>(
      'SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()',
    );
    return Number(pages?.['n']);
  }
  for (const { tableName } of source.entityMetadatas) await source.query(`ANALYZE TABLE ${tableName}`);
  const [sum] = await source.query<{ n: string }[]>(
    'SELECT SUM(data_length + index_length) AS n FROM information_schema.tables WHERE table_schema = DATABASE()',
  );
  return Number(sum?.n);
}

async function msEach(howMany: number, work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / howMany;
}

interface InstantWorker {
  readonly pid: number;
  /** Each line that it prints. */
  onLine(hear: (line: string) => void): void;
  stop(): Promise<void>;
}

async function startWorker(books: DatabaseConfig, vms: number, more: Record<string, string> = {}): Promise<InstantWorker> {
  const env = environmentOf(books, {
    CHAINKEEPER_ROLE: books.kind === 'sqlite' ? 'all' : 'worker',
    CHAINKEEPER_SWEEP_HOURS: '0',
    CHAINKEEPER_POLL_MS: '500',
    CHAINKEEPER_RUNS_AT_ONCE: String(WIDTH),
    CHAINKEEPER_TEST_VMS: String(vms),
    ...more,
  });
  const child: ChildProcess = spawn(process.execPath, [join(__dirname, 'child/instant-worker.js')], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const hears: ((line: string) => void)[] = [];
  const ended = once(child, 'exit');
  const ready = new Promise<void>((resolve) => hears.push((line) => line === 'ready' && resolve()));
  if (child.stdout) createInterface(child.stdout).on('line', (line) => hears.forEach((hear) => hear(line)));
  await Promise.race([
    ready,
    ended.then(() => {
      throw new Error('a worker of the bench has ended before it was ready');
    }),
  ]);
  return {
    pid: child.pid ?? 0,
    onLine: (hear) => hears.push(hear),
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}
