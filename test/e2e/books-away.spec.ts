import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SqliteFile } from '../../src/database/sqlite-driver';
import { until } from '../support/brake';
import { describeDatabases } from '../support/databases';
import { FakeService } from '../support/fake-service';
import { readMetrics } from '../support/read-metrics';
import { FULL } from '../support/thorough';

/** Another program holds the file of the books for longer than the service waits; what runs then is in `test/faults`. */
describe('a service whose books are away for a while', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-away-'));
  const path = join(folder, 'books.sqlite');
  let service: FakeService;
  let other: InstanceType<typeof SqliteFile>;
  beforeAll(async () => {
    service = await FakeService.start({ kind: 'sqlite', path });
    await service.register();
    other = new SqliteFile(path, { timeout: 5000 });
  });
  afterAll(async () => {
    other?.close();
    await service?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const ready = async (): Promise<unknown> => {
    const { status, body } = await service.get('/health/ready');
    return [status, (body as { code?: string }).code];
  };

  it('is alive and not ready meanwhile, says so in time, and is ready afterwards', async () => {
    expect(await ready()).toEqual([200, undefined]);
    other.exec('BEGIN EXCLUSIVE');
    const asked = Date.now();
    expect(await Promise.all([ready(), ready()])).toEqual(Array(2).fill([503, 'service.not-ready']));
    expect(Date.now() - asked).toBeLessThan(4000);
    expect((await service.get('/health/live')).status).toBe(200);
    // It tells of itself alone: what nobody knows is no 0.
    const read = readMetrics((await service.get('/metrics')).text);
    const told = (name: string): unknown[] => (read.get(name)?.samples ?? []).map(({ labels, value }) => [labels, value]);
    expect(told('chainkeeper_check_ok')).toEqual([[{ check: 'books' }, 0]]);
    expect([told('chainkeeper_runs'), told('chainkeeper_vms'), told('process_resident_memory_bytes').length]).toEqual([
      [],
      [],
      1,
    ]);
    other.exec('ROLLBACK');
    await until(async () => (await service.get('/health/ready')).status === 200, 'it is ready again');
  });

  it('does not end a run for it: the run waits for its books', async () => {
    service.onCommand = ({ argv }) => {
      if (!argv.includes('inspect')) return;
      service.onCommand = () => undefined;
      other.exec('BEGIN EXCLUSIVE');
    };
    const { body: queued } = await service.post('/backups', { vm: service.vm });
    const said = /driving the run failed|the run could not start/;
    await until(() => service.lines.some((line) => said.test(line)), 'the run met the lock');
    other.exec('ROLLBACK');
    expect(await service.ended((queued as { id: string }).id)).toMatchObject({ state: 'succeeded', reason: 'no-parent' });
  });
});

/** Longer than a lease; ten minutes in `npm run test:full`. */
const READ_ONLY_MS = FULL ? 600_000 : 4000;

describeDatabases(
  'a service whose books cannot be written for a while',
  (databases) => {
    it(
      'loses no run that goes on, none that waits and none that becomes due, and takes each once',
      async () => {
        const books = await databases.fresh();
        const service = await FakeService.start(books, { CHAINKEEPER_LEASE_SECONDS: '3' });
        try {
          await service.register();
          const root = (sql: string): Promise<unknown> => databases.server().asRoot(sql);
          const readOnly = (on: boolean): Promise<unknown> => root(`SET GLOBAL read_only = ${on ? 1 : 0}`);
          const ready = async (): Promise<boolean> => (await service.get('/health/ready')).status === 200;
          const other = 'i-2-11-VM';
          await service.lab.vmCreate(other, [{ target: 'vda', size: 1024 * 1024 }]);
          await service.lab.vmStart(other);
          await service.post('/vms', { name: other, host: 'kvm1' });
          await service.call('PUT', `/vms/${other}/offering`, { body: { offering: 'daily' } });
          const wanted = { vm: other, cron: '0 4 1 1 *', timezone: 'UTC' };
          expect((await service.post('/schedules', wanted)).status).toBe(201);
          // An order whose end was not written down is given again, and the host knows the job.
          const jobs = new Set<string>();
          service.onCommand = async ({ argv }) => {
            if (!argv.includes('start')) return;
            if (jobs.size === 0) await readOnly(true);
            jobs.add(argv[argv.indexOf('--job') + 1] ?? '');
          };
          const going = ((await service.post('/backups', { vm: service.vm })).body as { id: string }).id;
          await until(async () => !(await ready()), 'it says that it is not ready');
          // What comes due meanwhile; the server's root may write.
          const { database } = books as { database: string };
          await root(`UPDATE ${database}.ck_due SET instant = UTC_TIMESTAMP(), due_at = UTC_TIMESTAMP()`);
          expect((await service.post('/backups', { vm: service.vm })).body).toMatchObject({ code: 'database.read-only' });
          await sleep(READ_ONLY_MS);
          expect([await ready(), (await service.get(`/runs/${going}`)).status]).toEqual([false, 200]);
          await readOnly(false);
          await until(ready, 'it is ready again');
          expect(await service.ended(going)).toMatchObject({ state: 'succeeded', attempt: 1 });
          const due = async () => (await service.get(`/runs?vm=${other}`)).body.items as { id: string; state: string }[];
          await until(async () => (await due())[0]?.state === 'succeeded', 'what was due runs');
          expect(await due()).toHaveLength(1);
          expect((await service.get('/backups')).body.items).toHaveLength(2);
          expect(jobs.size).toBe(2);
        } finally {
          await databases.server().asRoot('SET GLOBAL read_only = 0');
          await service.close();
        }
      },
      READ_ONLY_MS + 60_000,
    );
  },
  ['mariadb'],
);
