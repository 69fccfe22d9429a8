import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../../src/cli/client';
import { EventRow } from '../../src/database/entities/event-row';
import { LinkRow } from '../../src/database/entities/link-row';
import { RunRow } from '../../src/database/entities/run-row';
import { Dues } from '../../src/database/repositories/dues';
import { Runs } from '../../src/database/repositories/runs';
import { Schedules } from '../../src/database/repositories/schedules';
import { Vms } from '../../src/database/repositories/vms';
import type { JobTransport } from '../../src/engine/transports/job-transport';
import { openTransport } from '../../src/engine/transports/open-transport';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import { loadConfig } from '../../src/platform/config/load-config';
import { createLog } from '../../src/platform/log';
import type { ScheduleDto } from '../../src/schedules/dto/schedule.dto';
import { fuzzSeed, Random } from '../fuzz/random';
import { aRun } from '../support/books';
import { until } from '../support/brake';
import { type Books, describeDatabases } from '../support/databases';
import { type Redis, startRedis } from '../support/redis';
import { serveFakeHost } from '../support/remote-fake-host';
import { environmentOf } from '../support/service-config';
import { FULL } from '../support/thorough';
import { admitTo } from './runs-once/admit';
import { Instances } from './runs-once/instances';
import { judgeOnce } from './runs-once/judge-once';
import { StartLog } from './runs-once/start-log';
import { readMoves, readThefts, watchBooks } from './runs-once/watch-books';

const SIZE = FULL
  ? { workers: 4, vms: 200, runs: 2000, minutes: 30, strikes: 150, pauseMs: 3000 }
  : { workers: 3, vms: 40, runs: 120, minutes: 3, strikes: 9, pauseMs: 1500 };
const REPORT = resolve(__dirname, '../../reports/runs-once.json');
const nameOf = (vm: number): string => `i-2-${vm + 1}-VM`;

/** What goes wrong on a host by itself, and on the way to it; none of it may make a run run twice. */
const FAULTS = [
  { kind: 'job-failed' },
  { kind: 'mount-failed', on: 'backup' },
  { kind: 'lost-after', on: 'start' },
  { kind: 'lost-before', on: 'start' },
  { kind: 'lost-after', on: 'status' },
] as const;

/**
 * Orchestrators that are processes, on one real MariaDB and Redis, and one fake host that outlives them. They are killed, and held up for longer than
 * their leases; the database crashes; Redis forgets all; one clock is an hour wrong; jobs fail, and answers of the host are lost. At the end the host's own log
 * of what it began, what each orchestrator asked of it, what the database saw of every change, and the books are laid beside each other.
 */
describeDatabases(
  'every run runs once, whatever dies',
  (databases) => {
    const random = new Random(fuzzSeed);
    let folder: string;
    let lab: FakeLab;
    let host: Awaited<ReturnType<typeof serveFakeHost>>;
    let books: Books;
    let redis: Redis;
    let runs: Runs;
    let transport: JobTransport;
    let starts: StartLog;
    let instances: Instances;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'chainkeeper-once-'));
      lab = new FakeLab();
      await lab.up();
      for (let vm = 0; vm < SIZE.vms; vm += 1) {
        await lab.vmCreate(nameOf(vm), [{ target: 'vda', size: 1024 * 1024 }]);
        await lab.vmStart(nameOf(vm));
      }
      // Most jobs take a moment, some outlast a lease.
      lab.host.pace = (signal) => sleep(slowly(random), undefined, { signal }).catch(() => undefined);
      host = await serveFakeHost(lab);
      starts = new StartLog(join(folder, 'starts'));
      starts.listen(lab.host);
      books = await databases.open();
      await watchBooks(books.dataSource);
      redis = await startRedis();
      const environment = environmentOf(books.config, {
        CHAINKEEPER_REDIS_URL: redis.url,
        CHAINKEEPER_POLL_MS: '200',
        CHAINKEEPER_RUNS_AT_ONCE: FULL ? '12' : '6',
        CHAINKEEPER_ATTEMPTS: '5',
        CHAINKEEPER_RETRY_SECONDS: '1',
        CHAINKEEPER_SWEEP_HOURS: '0',
        CHAINKEEPER_TEST_SLEEPS_ONE_IN: '60',
        CHAINKEEPER_TEST_HOST: String(host.port),
        CHAINKEEPER_TEST_STARTS: join(folder, 'starts'),
      });
      const config = loadConfig(environment);
      transport = await openTransport(config, createLog(config.log));
      runs = new Runs(books.work);
      runs.onQueued((id) => transport.tell(id));
      instances = new Instances(environment, admitTo(databases, books), random);
      await instances.start(SIZE.workers);
    }, 120_000);
    afterAll(async () => {
      await instances?.stop();
      await transport?.close();
      await redis?.stop();
      host?.close();
      await lab?.down();
      rmSync(folder, { recursive: true, force: true });
    }, 60_000);

    /** The VMs, as an operator registers them, and a schedule of all that has just come due. Answers the ids of the VMs. */
    const register = async (client: Client): Promise<number[]> => {
      const { address, user } = await lab.access();
      await client.send('POST', '/hosts', { name: 'kvm1', address, user });
      await client.send('POST', '/repositories', { name: 'nas1', type: 'dir', address: await lab.nas('nas1') });
      await client.send('POST', '/offerings', { name: 'daily', repository: 'nas1', fullEvery: 3 });
      const ids: number[] = [];
      for (let vm = 0; vm < SIZE.vms; vm += 1) {
        await client.send('POST', '/vms', { name: nameOf(vm), host: 'kvm1' });
        await client.send('PUT', `/vms/${nameOf(vm)}/offering`, { offering: 'daily' });
        ids.push((await new Vms(books.work).find(nameOf(vm)))?.id ?? 0);
      }
      const { body } = await client.send<ScheduleDto>('POST', '/schedules', { offering: 'daily', cron: '0 0 1 1 *' });
      const seq = (await new Schedules(books.work).find(body.id))?.seq ?? 0;
      const instant = new Date(Math.floor(Date.now() / 60_000) * 60_000);
      await new Dues(books.work).replace(
        seq,
        ids.map((vmId) => ({ vmId, instant, dueAt: new Date(Date.now() - 1) })),
      );
      return ids;
    };

    /** How many runs there are, or have ended; null: the database is away. */
    const count = (which = 'TRUE'): Promise<number | null> =>
      books.dataSource.query<{ n: string }[]>(`SELECT COUNT(*) AS n FROM ck_runs WHERE ${which}`).then(
        ([row]) => Number(row?.n),
        () => null,
      );
    const crash = async (): Promise<void> => {
      await databases.server().end('SIGKILL');
      await sleep(random.below(1000));
      await databases.server().startAgain();
    };

    it(
      `${SIZE.runs} runs of ${SIZE.vms} VMs by ${SIZE.workers} orchestrators`,
      async () => {
        const began = performance.now();
        const vmIds = await register(new Client({ url: instances.url }));
        // The first run of each is its schedule's, of which all orchestrators make runs at once. Of the others several wait for one VM.
        instances.strike();
        await until(async () => (await count()) === SIZE.vms, 'every VM has the run of its schedule');
        const asked: string[] = [];
        for (let run = SIZE.vms; run < SIZE.runs; run += 1)
          asked.push((await runs.create(aRun(vmIds[run % SIZE.vms] ?? 0))).run.id);

        let [crashes, flushes] = [0, 0];
        const deadline = began + SIZE.minutes * 60_000;
        for (
          let done: number | null = 0;
          done !== SIZE.runs && performance.now() < deadline;
          done = await count('ended IS NOT NULL')
        ) {
          await sleep(SIZE.pauseMs / 2 + random.below(SIZE.pauseMs));
          if (instances.strikes < SIZE.strikes) instances.strike();
          if (random.oneIn(2)) lab.host.faults.add(random.pick(FAULTS));
          if (random.oneIn(3)) await redis.flush().then(() => (flushes += 1));
          if (crashes === 0 && (done ?? 0) > SIZE.runs / 3) {
            crashes += 1;
            await crash();
          }
        }
        await instances.settle();

        const { manager } = books.dataSource;
        const links = await manager.find(LinkRow, { select: { backupId: true, runId: true } });
        const { wrong, counts } = judgeOnce({
          asked,
          runs: await manager.find(RunRow, { order: { seq: 'ASC' } }),
          backups: links.map(({ backupId, runId }) => ({ id: backupId, runId: runId ?? '' })),
          moves: await readMoves(books.dataSource),
          events: await manager.find(EventRow, { order: { seq: 'ASC' } }),
          starts: starts.read(),
        });
        const thefts = await readThefts(books.dataSource);
        const seconds = Math.round((performance.now() - began) / 1000);
        const report = {
          seed: fuzzSeed,
          ...SIZE,
          seconds,
          ...counts,
          ...instances.deeds,
          databaseCrashes: crashes,
          redisFlushes: flushes,
        };
        mkdirSync(resolve(REPORT, '..'), { recursive: true });
        writeFileSync(REPORT, JSON.stringify({ ...report, wrong: [...thefts, ...wrong] }, null, 2));
        const about = `FUZZ_SEED=${fuzzSeed}: ${JSON.stringify(report)}`;
        expect([about, ...thefts, ...wrong]).toEqual([about]);
        expect([about, counts.runs]).toEqual([about, SIZE.runs]);
        // It was disturbed indeed.
        for (const much of [counts.adoptions, counts.retries, instances.deeds.kills, instances.deeds.stops, crashes, flushes])
          expect([about, much > 0]).toEqual([about, true]);
      },
      SIZE.minutes * 60_000 + 60_000,
    );
  },
  ['mariadb'],
);

const slowly = (random: Random): number => (random.oneIn(25) ? 1500 + random.below(2000) : 20 + random.below(250));
