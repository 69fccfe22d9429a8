import type { Dialect } from '../../src/domain/agent/facts';
import type { StockFault } from '../../src/hosts/fake/fault-plan';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { Brake, until } from '../support/brake';
import { FakeService, type HttpAnswer } from '../support/fake-service';

const MIB = 1024 * 1024;

/** How a stock script can end, each in a whole run of the service: what is booked of it, what stays behind, and what comes next. */
describe('ends of a stock script', () => {
  let service: FakeService;
  let serial = 0;
  afterEach(() => service.close());

  const open = async (dialect: Dialect, beside: boolean): Promise<HttpAnswer['body']> => {
    service = await FakeService.start({ kind: 'sqlite', path: ':memory:' });
    await service.registerStock(dialect, beside);
    await service.lab.write(service.vm, 'vda', 0x11, 0, MIB);
    return service.backup();
  };
  const strike = (kind: StockFault | 'mount-failed' | 'umount-busy'): void => service.lab.host.faults.add({ kind, on: 'backup' });
  const write = (): Promise<void> => service.lab.write(service.vm, 'vda', 0x20 + (serial += 1), 2 * MIB, MIB);
  const run = async (): Promise<RunDto> => {
    await write();
    const { body: queued } = await service.post('/backups', { vm: service.vm });
    return (await service.ended(queued.id)) as RunDto;
  };
  /** The next backup, in words, and whether it holds what the disk held. */
  const next = async (): Promise<[string, boolean]> => {
    await write();
    await service.lab.moment(service.vm, 'next');
    const { type, reason, externalId, disks } = await service.backup();
    const file = service.lab.nasFile('nas1', `${externalId}/${disks[0].file}`);
    return [`${type} ${reason}`, await service.lab.same(service.vm, 'next', 'vda', file)];
  };
  /** The books behind the first full, oldest first. */
  const booked = async (): Promise<string[]> => {
    const { body } = await service.get('/backups');
    const rows = body.items as { status: string; type: string }[];
    return rows
      .map(({ status, type }) => `${status} ${type}`)
      .reverse()
      .slice(1);
  };
  const mounts = (): number => service.lab.host.mounts.size;

  it.each<[Dialect, boolean, StockFault | 'mount-failed', number, string, string[], number, string]>([
    ['legacy', false, 'too-old', 2, 'silent-failure', ['Error FULL'], 0, 'FULL script-unsupported'],
    ['seed', false, 'too-old', 2, 'version-too-old', [], 0, 'INCREMENTAL regular'],
    ['mid', false, 'too-old', 2, 'version-too-old', [], 0, 'INCREMENTAL regular'],
    ['final', true, 'too-old', 2, 'version-too-old', [], 0, 'INCREMENTAL regular'],
    ['legacy', false, 'cleanup-failed', 20, 'job-failed', ['Error FULL'], 1, 'FULL script-unsupported'],
    ['seed', false, 'cleanup-failed', 20, 'job-failed', ['Error INCREMENTAL'], 1, 'INCREMENTAL regular'],
    ['mid', false, 'cleanup-failed', 20, 'job-failed', ['Error INCREMENTAL'], 1, 'INCREMENTAL regular'],
    ['final', true, 'cleanup-failed', 20, 'job-failed', ['Error INCREMENTAL'], 1, 'INCREMENTAL regular'],
    ['legacy', false, 'mount-failed', 1, 'mount-failed', [], 0, 'FULL script-unsupported'],
    ['seed', false, 'mount-failed', 32, 'mount-failed', [], 0, 'INCREMENTAL regular'],
    ['mid', false, 'mount-failed', 32, 'mount-failed', [], 0, 'INCREMENTAL regular'],
    ['final', true, 'mount-failed', 32, 'mount-failed', [], 0, 'INCREMENTAL regular'],
    ['legacy', false, 'terminated', 143, 'script-killed', ['Error FULL'], 1, 'FULL script-unsupported'],
    ['seed', false, 'terminated', 143, 'script-killed', ['Error INCREMENTAL'], 1, 'FULL bitmap-unconfirmed'],
    ['mid', true, 'terminated', 143, 'script-killed', ['Error INCREMENTAL'], 1, 'FULL bitmap-unconfirmed'],
    ['final', true, 'terminated', 143, 'script-killed', ['Error INCREMENTAL'], 1, 'FULL bitmap-unconfirmed'],
  ])('%s, ours beside it %s: %s (exit %i) fails as %s', async (dialect, beside, fault, exitCode, errorCode, rows, left, then) => {
    await open(dialect, beside);
    strike(fault);
    expect(await run()).toMatchObject({ state: 'failed', errorCode, exitCode, backupId: null });
    expect(await booked()).toEqual(rows);
    expect(mounts()).toBe(left);
    expect(await next()).toEqual([then, true]);
  });

  it('keeps what mount said of a repository that cannot be mounted', async () => {
    await open('seed', false);
    strike('mount-failed');
    const { id, errorMessage } = await run();
    expect(errorMessage).toMatch(/exit code 32: .*Connection timed out/);
    expect((await service.get(`/runs/${id}/log`)).body.stdout).toMatch(/Connection timed out/);
  });

  it.each<[Dialect, boolean, number, number]>([
    ['seed', false, 32, 1],
    ['seed', true, 32, 1],
    ['mid', false, 32, 1],
    ['final', true, 0, 0],
  ])('%s, ours beside it %s: a busy mount fails no data (exit %i)', async (dialect, beside, exitCode, told) => {
    await open(dialect, beside);
    strike('umount-busy');
    const ended = await run();
    expect(ended).toMatchObject({ state: 'succeeded', errorCode: null, exitCode });
    expect(ended.warnings.filter((warning) => /^cleanup-failed: exit 32 after the data/.test(warning))).toHaveLength(told);
    expect([await booked(), mounts()]).toEqual([['BackedUp INCREMENTAL'], 1]);
    expect(await next()).toEqual(['INCREMENTAL regular', true]);
  });

  it.each<[Dialect, boolean]>([
    ['mid', false],
    ['mid', true],
    // It never ends so by the tables; if it does, the same is right.
    ['seed', false],
    ['final', true],
  ])('%s, ours beside it %s: exit 21 is dispatched again as a full, in the same run', async (dialect, beside) => {
    await open(dialect, beside);
    strike('incremental-unsupported');
    const ended = await run();
    expect(ended).toMatchObject({ state: 'succeeded', plannedKind: 'full', reason: 'bitmap-unconfirmed', exitCode: 0 });
    expect(ended.warnings.join('\n')).toMatch(/first dispatched as incremental, exit 21: incremental-unsupported/);
    expect([await booked(), mounts()]).toEqual([['BackedUp FULL'], 0]);
    expect(await next()).toEqual(['INCREMENTAL regular', true]);
  });

  it('mid, ours beside it: one that is stopped between its two dispatches has no second', async () => {
    await open('mid', true);
    strike('incremental-unsupported');
    await write();
    const starts: string[] = [];
    let asked: number | undefined;
    service.onCommand = async ({ argv }) => {
      const said = argv.join(' ');
      const mode = / -M (\S+)/.exec(said)?.[1];
      if (mode !== undefined) starts.push(mode);
      if (!argv.includes('inspect') || starts.length === 0 || asked !== undefined) return;
      const [{ id }] = (await service.get(`/runs?vm=${service.vm}&limit=1`)).body.items;
      asked = (await service.post(`/runs/${id}/abort`, {})).status;
    };
    const { body: queued } = await service.post('/backups', { vm: service.vm });
    const ended = await service.ended(queued.id);
    service.onCommand = () => undefined;
    expect([asked, ended.state, ended.backupId, starts]).toEqual([202, 'cancelled', null, ['incremental']]);
    expect([await booked(), mounts()]).toEqual([[], 0]);
    expect((await next())[1]).toBe(true);
  });

  it.each([false, true])('mid, ours beside it %s: exit 22 is a good backup that nothing builds on', async (beside) => {
    await open('mid', beside);
    await service.lab.vmStop(service.vm);
    strike('bitmap-not-seeded');
    await service.lab.moment(service.vm, 'stopped');
    const ended = await run();
    expect(ended).toMatchObject({ state: 'succeeded', exitCode: 22, errorCode: null });
    expect(ended.warnings.join('\n')).toMatch(/^bitmap-not-seeded: /m);
    const { body: point } = await service.get(`/backups/${ended.backupId}`);
    expect(point).toMatchObject({ status: 'BackedUp', type: 'FULL', assurance: 'unproven', chain: { bitmap: null } });
    await service.lab.vmStart(service.vm);
    expect(await next()).toEqual(['FULL bitmap-unconfirmed', true]);
  });

  it.each<[Dialect]>([['seed'], ['mid']])(
    '%s: killed after it had put a blank bitmap in the place of the lost one, before it said so: nothing builds on that',
    async (dialect) => {
      const full = await open(dialect, false);
      await service.lab.write(service.vm, 'vda', 0x77, MIB, MIB);
      await service.lab.vmStop(service.vm);
      await service.lab.bitmapRemove(service.vm, 'vda', full.chain.bitmap);
      await service.lab.vmStart(service.vm);
      strike('terminated');
      expect(await run()).toMatchObject({ state: 'failed', errorCode: 'script-killed', exitCode: 143 });
      expect(await service.lab.bitmaps(service.vm, 'vda')).toEqual([full.chain.bitmap]);
      expect(await next()).toEqual(['FULL bitmap-unconfirmed', true]);
    },
  );

  it.each<[Dialect]>([['seed'], ['final']])(
    '%s: a run that takes longer than it may is called overdue, waited for, and booked when it ends',
    async (dialect) => {
      await open(dialect, true);
      service.config.engine.runHours = 0;
      const brake = new Brake(service.lab.host);
      await write();
      const { body: queued } = await service.post('/backups', { vm: service.vm });
      await until(async () => (await service.get(`/runs/${queued.id}`)).body.errorCode === 'run-overdue', 'it is overdue');
      expect((await service.get(`/runs/${queued.id}`)).body).toMatchObject({ state: 'unknown', ended: null });
      expect((await service.post('/backups', { vm: service.vm })).body).toMatchObject({ code: 'run.active' });
      brake.release();
      expect(await service.ended(queued.id)).toMatchObject({ state: 'succeeded', errorCode: null, exitCode: 0 });
      expect([await booked(), mounts()]).toEqual([['BackedUp INCREMENTAL'], 0]);
      expect(await next()).toEqual(['INCREMENTAL regular', true]);
    },
  );
});
