import { Client } from '../../src/cli/client';
import { Runs } from '../../src/database/repositories/runs';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { Brake, until } from '../support/brake';
import { type Books, describeDatabases } from '../support/databases';
import { type NodeScript, startScript } from '../support/node-script';
import { readMetrics } from '../support/read-metrics';
import { type Redis, startRedis } from '../support/redis';
import { serveFakeHost } from '../support/remote-fake-host';
import { environmentOf } from '../support/service-config';

/** What docker-compose.several.yml starts, from the packages: a database, Redis, an api and two workers, each a process. */
describeDatabases(
  'several instances, as processes of their own',
  (databases) => {
    const vm = 'i-2-10-VM';
    let lab: FakeLab;
    let redis: Redis;
    let books: Books;
    let host: Awaited<ReturnType<typeof serveFakeHost>>;
    beforeAll(async () => {
      lab = new FakeLab();
      await lab.up();
      await lab.vmCreate(vm, [{ target: 'vda', size: 4 * 1024 * 1024 }]);
      await lab.vmStart(vm);
      host = await serveFakeHost(lab);
      redis = await startRedis('se cret');
      books = await databases.open();
    }, 60_000);
    afterAll(async () => {
      host?.close();
      await redis?.stop();
      await lab?.down();
    });

    interface Instance {
      readonly script: NodeScript;
      readonly url: string;
    }
    const start = async (owner: string, role: 'api' | 'worker'): Promise<Instance> => {
      const script = startScript(
        'test/e2e/child/serve-fake.ts',
        null,
        environmentOf(books.config, {
          CHAINKEEPER_ROLE: role,
          CHAINKEEPER_OWNER: owner,
          CHAINKEEPER_REDIS_URL: redis.url,
          CHAINKEEPER_LEASE_SECONDS: '3',
          CHAINKEEPER_POLL_MS: '500',
          CHAINKEEPER_SWEEP_HOURS: '0',
          CHAINKEEPER_TEST_HOST: String(host.port),
        }),
      );
      return { script, url: await script.line('http') };
    };
    const ready = async ({ url }: Instance): Promise<unknown> =>
      ((await (await fetch(`${url}/health/ready`)).json()) as { status: string }).status;
    /** What an instance has of a metric, added up; undefined: it tells nothing of it. */
    const told = async ({ url }: Instance, metric: string): Promise<number | undefined> => {
      const samples = readMetrics(await (await fetch(`${url}/metrics`)).text()).get(metric)?.samples ?? [];
      return samples.length === 0 ? undefined : samples.reduce((sum, { value }) => sum + value, 0);
    };
    const register = async (client: Client): Promise<void> => {
      const address = await lab.nas('nas1');
      const { address: at, user } = await lab.access();
      await client.send('POST', '/hosts', { name: 'kvm1', address: at, user });
      await client.send('POST', '/repositories', { name: 'nas1', type: 'dir', address });
      await client.send('POST', '/offerings', { name: 'daily', repository: 'nas1', fullEvery: 10 });
      await client.send('POST', '/vms', { name: vm, host: 'kvm1' });
      await client.send('PUT', `/vms/${vm}/offering`, { offering: 'daily' });
    };

    it('take a backup to its end whoever is killed, worker or Redis, and take it once', async () => {
      const runs = new Runs(books.work);
      const api = await start('api', 'api');
      const client = new Client({ url: api.url });
      await register(client);
      const backup = async (): Promise<string> => (await client.send<RunDto>('POST', '/backups', { vm })).body.id;
      const ended = async (id: string): Promise<RunDto> => {
        await until(async () => (await client.get<RunDto>(`/runs/${id}`)).ended !== null, `run ${id} has ended`);
        return client.get<RunDto>(`/runs/${id}`);
      };

      // An api drives nothing: the run waits for a worker.
      const first = await backup();
      await new Promise((wake) => setTimeout(wake, 1500));
      expect(await runs.find(first)).toMatchObject({ state: 'queued', owner: null });
      const workers = new Map([
        ['one', await start('one', 'worker')],
        ['two', await start('two', 'worker')],
      ]);
      expect(await ended(first)).toMatchObject({ state: 'succeeded' });

      // A worker answers how it is, and nothing else.
      const [one] = [...workers.values()] as [Instance];
      expect(await ready(one)).toBe('ok');
      for (const path of ['/api/v1/runs', '/api/docs', '/'])
        expect(await (await fetch(one.url + path)).json()).toMatchObject({ status: 404, code: 'service.no-api' });

      const begun = await Promise.all([api, ...workers.values()].map((each) => told(each, 'chainkeeper_runs_begun_total')));
      expect([begun[0], begun.reduce((sum = 0, count = 0) => sum + count, 0)]).toEqual([0, 1]);
      expect([await told(api, 'chainkeeper_look_failing'), await told(one, 'chainkeeper_look_failing')]).toEqual([undefined, 0]);

      // In the middle of the next one Redis goes, and the worker that drives it.
      const brake = new Brake(lab.host);
      const second = await backup();
      await until(async () => (await runs.find(second))?.jobId != null && lab.host.jobs.has(second), 'its job has begun');
      const driver = (await runs.find(second))?.owner ?? '';
      expect([...workers.keys()]).toContain(driver);
      await redis.kill();
      await workers.get(driver)?.script.kill();
      workers.delete(driver);
      const [other] = [...workers.keys()] as [string];
      await until(async () => (await runs.find(second))?.owner === other, 'the other worker has adopted it');
      brake.release();
      expect(await ended(second)).toMatchObject({ state: 'succeeded', plannedKind: 'incremental', reason: 'regular' });
      expect(await ready(api)).toBe('degraded');
      const survivor = workers.get(other) as Instance;
      expect([await told(survivor, 'chainkeeper_runs_recovered_total'), await told(survivor, 'chainkeeper_vms')]).toEqual([1, 1]);
      expect(await told(survivor, 'chainkeeper_check_ok')).toBe(1);

      // Without Redis, and with one that came back empty.
      expect(await ended(await backup())).toMatchObject({ state: 'succeeded', plannedKind: 'incremental' });
      await redis.startAgain();
      await until(async () => (await ready(api)) === 'ok', 'the api has found it again');
      const last = await backup();
      expect(await ended(last)).toMatchObject({ state: 'succeeded', plannedKind: 'incremental' });

      // One job on the host, one backup in the books, for each run.
      const { items } = await client.get<{ items: { id: string; chain: { position: number } }[] }>(`/backups?vm=${vm}`);
      expect(items.map(({ chain }) => chain.position)).toEqual([3, 2, 1, 0]);
      expect((await client.get<{ items: unknown[] }>('/runs')).items).toHaveLength(4);

      for (const { script } of [api, ...workers.values()]) {
        process.kill(script.pid, 'SIGTERM');
        const { code, out, err } = await script.end();
        expect([code, err]).toEqual([0, '']);
        expect(out).not.toMatch(/se.{0,3}cret/);
      }
    });
  },
  ['mariadb'],
);
