import { randomUUID } from 'node:crypto';
import type { CoverageDto } from '../../src/coverage/dto/coverage.dto';
import { Figures, FLEET_PROBLEMS } from '../../src/database/repositories/figures';
import { Vms } from '../../src/database/repositories/vms';
import { Volumes } from '../../src/database/repositories/volumes';
import { OperationalError } from '../../src/domain/errors';
import { until } from '../support/brake';
import { runCli } from '../support/cli';
import { describeDatabases } from '../support/databases';
import { FakeService } from '../support/fake-service';

jest.setTimeout(120_000);

/** What is protected and what is not, as a client meets it; the fake host stands in for a hypervisor. */
describeDatabases('coverage', (databases) => {
  let service: FakeService;
  beforeAll(async () => {
    service = await FakeService.start(await databases.fresh());
    await service.register({ offering: { fullEvery: 100 } });
  });
  afterAll(() => service?.close());

  const coverage = async (query = ''): Promise<CoverageDto[]> =>
    (await service.get(`/coverage?${query}`)).body.items as CoverageDto[];
  const told = async (): Promise<string> => {
    const [vm] = await coverage(`vm=${service.vm}`);
    const disks = (vm?.disks ?? []).flatMap(({ target, problem }) => (problem ? [`${target} ${problem.code}`] : []));
    const problems = (vm?.problems ?? []).map(({ code }) => code);
    // What is counted of all VMs says the same.
    const counted = await new Figures((await databases.reopen(service.config.books)).work).ofFleet();
    expect(counted).toMatchObject({
      vms: 1,
      problems: Object.fromEntries(FLEET_PROBLEMS.map((problem) => [problem, problems.includes(problem) ? 1 : 0])),
    });
    return [vm?.state, ...problems, ...disks].join(', ');
  };
  const sql = async (text: string): Promise<void> => {
    const { dataSource } = await databases.reopen(service.config.books);
    await dataSource.query(text);
  };

  it('follows a VM from nothing to what its schedule promises, and back', async () => {
    expect(await told()).toBe('unprotected, no-schedule, no-restore-point, vda no-restore-point, vdb no-restore-point');
    const { body: schedule } = await service.post('/schedules', { vm: service.vm, cron: '*/10 * * * *' });
    await service.backup();
    await service.post(`/schedules/${schedule.id}/pause`, {});
    expect(await told()).toBe('protected, paused');
    await service.post(`/schedules/${schedule.id}/resume`, {});
    expect(await told()).toBe('protected');
    const [vm] = await coverage();
    expect(vm).toMatchObject({
      vm: service.vm,
      lastSucceeded: expect.any(String) as string,
      newestBackupId: expect.any(String) as string,
    });
    expect(Date.parse(vm?.nextDue ?? '')).toBeGreaterThan(Date.now());
    expect(await coverage('only=problems')).toEqual([]);

    // The schedule has been there for a day, and the newest backup is older than its grace.
    await sql(`UPDATE ck_schedules SET changed = '2026-01-01 00:00:00.000'`);
    await sql(`UPDATE backups SET date = '2026-01-01 00:00:00'`);
    expect(await told()).toBe('late, late');
    expect((await coverage('only=problems')).map(({ state }) => state)).toEqual(['late']);
    await service.backup();
    expect(await told()).toBe('protected');

    await service.call('PATCH', '/hosts/kvm1', { body: { resourceState: 'Maintenance' } });
    expect(await told()).toBe('protected, host-maintenance');
    await service.call('PATCH', '/hosts/kvm1', { body: { resourceState: 'Enabled' } });
    await sql(`UPDATE host SET status = 'Disconnected'`);
    expect(await told()).toBe('protected, host-down');
    await sql(`UPDATE host SET status = 'Up'`);
    await service.call('PUT', '/repositories/nas1/maintenance', { body: { by: 'alice', why: 'new disks' } });
    expect(await told()).toBe('protected, repository-maintenance');
    await service.call('DELETE', '/repositories/nas1/maintenance');
    await service.call('DELETE', `/vms/${service.vm}/offering`);
    expect(await told()).toBe('protected, no-offering');
    await service.call('PUT', `/vms/${service.vm}/offering`, { body: { offering: 'daily' } });
  });

  it('tells of a host that does not answer while a run goes on there', async () => {
    let silent = true;
    service.onCommand = ({ argv }) => {
      if (silent && argv.includes('status')) throw new OperationalError('host.unreachable', 'unreachable', 'Nobody answers.');
    };
    const { body: run } = await service.post('/backups', { vm: service.vm });
    await until(async () => (await service.get(`/runs/${run.id}`)).body.state === 'unknown', 'its outcome is not known');
    expect(await told()).toBe('protected, host-down');
    silent = false;
    expect((await service.ended(run.id as string)).state).toBe('succeeded');
    expect(await told()).toBe('protected');
  });

  it('tells of a schedule that somebody else has written, and that nobody can read', async () => {
    await sql(`UPDATE ck_schedules SET timezone = 'GMT+2:00'`);
    expect(await told()).toBe('protected, schedule-unreadable');
    await sql(`UPDATE ck_schedules SET timezone = 'UTC'`);
    expect(await told()).toBe('protected');
  });

  it('tells a disk that came since, and why of a VM that fails', async () => {
    const { work } = await databases.reopen(service.config.books);
    const vm = await new Vms(work).find(service.vm);
    const volumes = new Volumes(work);
    const disks = await volumes.ofVm(vm?.id ?? 0);
    await volumes.replace(vm?.id ?? 0, [...disks, { uuid: randomUUID(), target: 'vdc', path: '/images/new', size: 1024 }]);
    expect(await told()).toBe('unprotected, vdc not-in-backup');

    await service.lab.vmStop(service.vm);
    service.lab.host.vms.clear();
    const failed = await service.post('/backups', { vm: service.vm });
    await service.ended(failed.body.id as string);
    expect(await told()).toMatch(/^unprotected, failing/);
    const [shown] = await coverage();
    expect(shown?.problems.find(({ code }) => code === 'failing')).toMatchObject({ since: expect.any(String) as string });
  });

  it('is a table on the command line, and its exit code tells scripts', async () => {
    const ck = (...args: string[]) => runCli(args, { CHAINKEEPER_URL: service.url });
    const { code, out } = await ck('coverage');
    expect([code, out]).toEqual([3, expect.stringMatching(/vdc +unprotected .*chainkeeper backup/)]);
    const json = JSON.parse((await ck('coverage', '--problems', '--json')).out) as CoverageDto[];
    expect(json).toEqual(await coverage());
    expect((await service.get('/coverage?vm=nobody')).status).toBe(404);
    expect((await service.get('/coverage?only=all')).status).toBe(400);
  });
});
