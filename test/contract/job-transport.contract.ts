import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import { Test } from '@nestjs/testing';
import { AppModule } from '../../src/app.module';
import { Leases } from '../../src/database/repositories/leases';
import { Runs } from '../../src/database/repositories/runs';
import { claimOf } from '../../src/engine/claim';
import { Runner } from '../../src/engine/runner';
import { JOB_TRANSPORT, type JobTransport } from '../../src/engine/transports/job-transport';
import { Worker } from '../../src/engine/worker';
import { HealthController } from '../../src/platform/health/health.controller';
import { createLog } from '../../src/platform/log';
import { aRun, aVm } from '../support/books';
import { until } from '../support/brake';
import { type Books, describeDatabases } from '../support/databases';
import { serviceConfig } from '../support/service-config';

/** One instance of the service without its HTTP: its own connections to the books and to whatever carries the ids. */
export interface Instance {
  readonly runs: Runs;
  readonly leases: Leases;
  readonly transport: JobTransport;
  readonly worker: Worker;
  readonly health: HealthController;
  /** What it said, warnings and news; and all of it, debug lines too. */
  readonly said: () => string[];
  readonly lines: readonly string[];
  close(): Promise<void>;
}

/** Starts instances on one database, and keeps what their workers did. */
export class Fleet {
  /** Every start of a run, by its id: who began it. */
  readonly starts: { readonly runId: string; readonly by: string }[] = [];
  /** Runs do not end before this is called. */
  letGo: () => void = () => undefined;
  readonly #instances: Instance[] = [];
  #held: Promise<void> = Promise.resolve();

  constructor(
    readonly books: Books,
    private readonly settings: Record<string, string>,
  ) {}

  /** From now on runs go on until `letGo`, or until their worker is told to stop. */
  hold(): void {
    this.#held = new Promise((go) => (this.letGo = go));
  }

  worker(by: string, more: Record<string, string> = {}): Promise<Instance> {
    return this.#start('worker', { CHAINKEEPER_OWNER: by, ...more });
  }

  api(more: Record<string, string> = {}): Promise<Instance> {
    return this.#start('api', { CHAINKEEPER_OWNER: 'api', ...more });
  }

  /** Runs of as many VMs, asked for through this instance. */
  async ask(instance: Instance, count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let done = 0; done < count; done += 1) {
      const vm = await aVm(this.books);
      ids.push((await instance.runs.request(aRun(vm.id))).id);
    }
    return ids;
  }

  startsOf = (runId: string): number => this.starts.filter((one) => one.runId === runId).length;

  /** All of them have ended well, and each began once. */
  async expectOnce(ids: readonly string[]): Promise<void> {
    const { runs } = this.#instances[0] as Instance;
    const states = async (): Promise<string[]> => Promise.all(ids.map(async (id) => (await runs.find(id))?.state ?? 'gone'));
    await until(async () => (await states()).every((state) => state === 'succeeded'), 'all runs have ended');
    expect(ids.map(this.startsOf)).toEqual(ids.map(() => 1));
  }

  async close(): Promise<void> {
    this.letGo();
    await Promise.all(this.#instances.splice(0).map((one) => one.close()));
  }

  async #start(role: 'api' | 'worker', more: Record<string, string>): Promise<Instance> {
    const lines: string[] = [];
    const sink = new Writable({ write: (line: Buffer, _, done) => (lines.push(line.toString()), done()) });
    const settings = {
      CHAINKEEPER_ROLE: role,
      CHAINKEEPER_SWEEP_HOURS: '0',
      CHAINKEEPER_FULLS_PERCENT: '100',
      ...this.settings,
      ...more,
    };
    const config = serviceConfig(this.books.config, settings);
    const drive: Runner['drive'] = async ({ id: runId }, lease, stop) => {
      this.starts.push({ runId, by: config.engine.owner });
      await Promise.race([this.#held, new Promise((end) => stop.addEventListener('abort', end))]);
      if (!stop.aborted) await app.get(Runs).end(claimOf(lease), { state: 'succeeded' });
    };
    const app = await Test.createTestingModule({
      imports: [AppModule.forRoot(config, { log: createLog({ level: 'debug' }, sink) })],
    })
      .overrideProvider(Runner)
      .useValue({ drive })
      .compile();
    await app.init();
    if (role === 'worker') app.get(Worker).start();
    let closing: Promise<void> | undefined;
    const said = (): string[] =>
      lines
        .map((line) => JSON.parse(line) as { level: string; msg: string })
        .filter(({ level }) => level !== 'debug')
        .map(({ msg }) => msg);
    const instance: Instance = {
      ...{ runs: app.get(Runs), leases: app.get(Leases), transport: app.get<JobTransport>(JOB_TRANSPORT) },
      ...{ worker: app.get(Worker), health: app.get(HealthController), lines, said },
      close: () => (closing ??= app.close()),
    };
    this.#instances.push(instance);
    return instance;
  }
}

/** What a suite of one transport gets besides the contract. */
export interface TransportStage {
  /** A fleet on books of its own; closed after the test. */
  fleet(more?: Record<string, string>): Promise<Fleet>;
}

/** What holds for every transport: it tells, and the books decide. */
export function describeTransport(
  name: string,
  settings: () => Record<string, string>,
  more: (stage: TransportStage) => void = () => undefined,
): void {
  describeDatabases(
    name,
    (databases) => {
      const fleets: Fleet[] = [];
      const fleet = async (own: Record<string, string> = {}): Promise<Fleet> => {
        const made = new Fleet(await databases.open(), { ...settings(), ...own });
        fleets.push(made);
        return made;
      };
      afterEach(async () => {
        await Promise.all(fleets.splice(0).map((one) => one.close()));
      });

      it('lets every queued run be taken by exactly one of several workers', async () => {
        const all = await fleet({ CHAINKEEPER_RUNS_AT_ONCE: '4' });
        const api = await all.api();
        // Of those that wait already all workers find the same; the others they are told of, or find, one by one.
        const ids = await all.ask(api, 30);
        await Promise.all(['first', 'second', 'third'].map((name) => all.worker(name)));
        await all.expectOnce([...ids, ...(await all.ask(api, 30))]);
        expect(new Set(all.starts.map(({ by }) => by)).size).toBeGreaterThan(1);
      });

      it('finds what nobody told anybody of', async () => {
        const all = await fleet();
        const worker = await all.worker('only');
        const vm = await aVm(all.books);
        const { id } = await new Runs(all.books.work).request(aRun(vm.id));
        await all.expectOnce([id]);
        expect(worker.transport.restMs).toBeLessThanOrEqual(500);
      });

      it('carries ids that never were, and those of runs that ended long ago, without harm', async () => {
        const all = await fleet();
        const api = await all.api();
        const worker = await all.worker('only');
        const [done = ''] = await all.ask(api, 1);
        await all.expectOnce([done]);
        for (const id of [done, done, randomUUID(), '17', 'no:such:run', '', '../../x', 'x'.repeat(5000)]) api.transport.tell(id);
        await all.expectOnce([done, ...(await all.ask(api, 1))]);
        expect(all.starts).toHaveLength(2);
        expect(worker.said().filter((line) => !/^Redis tells|^Nest/.test(line))).toEqual([]);
      });

      it('starts no run that waits because its id is told', async () => {
        const all = await fleet();
        const api = await all.api();
        await all.worker('only');
        const vm = await aVm(all.books);
        const held = await api.leases.acquire(vm.id, randomUUID(), 'somebody', 60_000);
        if (held.kind !== 'held') throw new Error('nobody else has it');
        const { id } = await api.runs.request(aRun(vm.id));
        for (let times = 0; times < 10; times += 1) api.transport.tell(id);
        // Others are told and taken meanwhile.
        await all.expectOnce(await all.ask(api, 3));
        for (let times = 0; times < 10; times += 1) api.transport.tell(id);
        await all.expectOnce(await all.ask(api, 3));
        expect(all.startsOf(id)).toBe(0);
        await api.leases.release(held.lease);
        await all.expectOnce([id]);
      });

      it('starts no more than there are places for, whatever is told', async () => {
        const all = await fleet({ CHAINKEEPER_RUNS_AT_ONCE: '2' });
        const api = await all.api();
        await all.worker('only');
        all.hold();
        const ids = await all.ask(api, 6);
        await until(() => all.starts.length === 2, 'two have begun');
        for (const id of ids) api.transport.tell(id);
        await new Promise((wake) => setTimeout(wake, 500));
        expect(all.starts).toHaveLength(2);
        all.letGo();
        await all.expectOnce(ids);
      });

      it('closes promptly while a run goes on and another waits, and whoever is left takes both', async () => {
        // A rest that goes on for a minute is no reason to wait.
        const all = await fleet({ CHAINKEEPER_RUNS_AT_ONCE: '1', CHAINKEEPER_POLL_MS: '60000' });
        const api = await all.api();
        all.hold();
        const ids = await all.ask(api, 2);
        const leaving = await all.worker('leaving');
        await until(() => all.starts.length === 1, 'one has begun');
        const before = Date.now();
        await leaving.close();
        expect(Date.now() - before).toBeLessThan(2_000);
        all.letGo();
        const staying = await all.worker('staying');
        const ended = async (): Promise<boolean> =>
          (await Promise.all(ids.map((id) => api.runs.find(id)))).every((run) => run?.state === 'succeeded');
        await until(ended, 'both have ended');
        // The one that was let go was adopted; neither began beside itself.
        expect(ids.map(all.startsOf).sort()).toEqual([1, 2]);
        await new Promise((wake) => setTimeout(wake, 500));
        const idle = Date.now();
        await staying.close();
        expect(Date.now() - idle).toBeLessThan(2_000);
      });

      it('leaves: what goes on goes on, nothing is begun any more, and it still tells', async () => {
        const all = await fleet();
        const leaving = await all.worker('leaving');
        all.hold();
        const [going = ''] = await all.ask(leaving, 1);
        await until(() => all.starts.length === 1, 'it has begun');
        await leaving.worker.stop();
        const [later = ''] = await all.ask(leaving, 1);
        await new Promise((wake) => setTimeout(wake, 300));
        expect([all.starts.length, leaving.worker.driving]).toEqual([1, 1]);
        await all.worker('staying');
        await until(() => all.startsOf(later) === 1, 'the other one has begun what came later');
        all.letGo();
        await leaving.worker.ended();
        await all.expectOnce([going, later]);
        expect(all.starts.map(({ by }) => by)).toEqual(['leaving', 'staying']);
      });

      more({ fleet });
    },
    ['mariadb'],
  );
}
