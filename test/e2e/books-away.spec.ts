import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SqliteFile } from '../../src/database/sqlite-driver';
import { until } from '../support/brake';
import { FakeService } from '../support/fake-service';

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
