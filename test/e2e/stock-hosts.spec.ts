import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseConfig } from '../../src/database/data-source';
import type { Dialect } from '../../src/domain/agent/facts';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { START_PROGRAM } from '../../src/hosts/stock-jobs';
import { Brake, until } from '../support/brake';
import { FakeService, type HttpAnswer } from '../support/fake-service';

const MIB = 1024 * 1024;
const IN_MEMORY: DatabaseConfig = { kind: 'sqlite', path: ':memory:' };
const VDA = { target: 'vda', path: '' };

/** The service on a host whose backups a stock script takes, in memory: what is asked, booked and said. */
describe('a host with a stock script', () => {
  let service: FakeService;
  afterEach(() => service.close());

  const open = async (dialect: Dialect, beside: boolean, disks = 1, books: DatabaseConfig = IN_MEMORY): Promise<void> => {
    service = await FakeService.start(books);
    await service.registerStock(dialect, beside, disks);
    await service.lab.write(service.vm, 'vda', 0x11, 0, MIB);
  };
  const write = (pattern: number): Promise<void> => service.lab.write(service.vm, 'vda', pattern, 2 * MIB, MIB);
  const restart = async (between: () => Promise<void> = async () => undefined): Promise<void> => {
    await service.lab.vmStop(service.vm);
    await between();
    await service.lab.vmStart(service.vm);
  };
  const lose = (bitmap: string): Promise<void> => restart(() => service.lab.bitmapRemove(service.vm, VDA.target, bitmap));
  const holds = async ({ externalId, disks }: HttpAnswer['body'], label: string): Promise<boolean> =>
    service.lab.same(service.vm, label, 'vda', service.lab.nasFile('nas1', `${externalId}/${disks[0].file}`));
  const explained = async ({ id }: HttpAnswer['body']): Promise<string> => {
    const { body } = await service.get(`/backups/${id}/explain`);
    return JSON.stringify(body);
  };

  it.each<[Dialect, boolean, number, string[]]>([
    ['legacy', false, 1, ['FULL script-unsupported', 'FULL script-unsupported']],
    ['legacy', true, 2, ['FULL script-unsupported', 'FULL script-unsupported']],
    ['seed', false, 1, ['FULL no-parent', 'INCREMENTAL regular']],
    ['seed', false, 2, ['FULL no-parent', 'FULL script-unsupported']],
    ['seed', true, 1, ['FULL no-parent', 'INCREMENTAL regular']],
    ['mid', false, 2, ['FULL no-parent', 'INCREMENTAL regular']],
    ['mid', true, 2, ['FULL no-parent', 'INCREMENTAL regular']],
    ['final', false, 2, ['FULL no-parent', 'FULL bitmap-unconfirmed']],
    ['final', true, 2, ['FULL no-parent', 'INCREMENTAL regular']],
  ])('%s, ours beside it %s, %i disk(s): books what it makes, unproven', async (dialect, beside, disks, expected) => {
    await open(dialect, beside, disks);
    const first = await service.backup();
    await write(0x22);
    await service.lab.moment(service.vm, 'second');
    const second = await service.backup();
    expect([first, second].map(({ type, reason }) => `${type} ${reason}`)).toEqual(expected);
    expect([first, second]).toMatchObject([{ assurance: 'unproven' }, { assurance: 'unproven' }]);
    expect(await holds(second, 'second')).toBe(true);
  });

  it.each<[boolean, string, RegExp]>([
    [false, 'unproven', /Nobody could look at the host/],
    [true, 'broken', /fell from \d+ to 0 dirty bytes/],
  ])('seed, ours beside it %s: what a blank recreation leaves is a hole and is called one', async (beside, assurance, why) => {
    await open('seed', beside);
    const full = await service.backup();
    await write(0x22);
    if (beside) {
      // Lost between the look and the script.
      service.onCommand = ({ argv }) => {
        if (argv[2] !== START_PROGRAM) return;
        service.onCommand = () => undefined;
        void lose(full.chain.bitmap);
      };
    } else await lose(full.chain.bitmap);
    await service.lab.moment(service.vm, 'hole');
    const hole = await service.backup();
    expect(hole).toMatchObject({ type: 'INCREMENTAL', assurance });
    expect(hole.chain).toMatchObject({ bitmapRecreated: full.chain.bitmap, recreateMethod: 'unknown' });
    expect(await holds(hole, 'hole')).toBe(false);
    const logged = service.lines.map(
      (line) => JSON.parse(line) as { level: unknown; msg: string; bitmap?: string; method?: string },
    );
    // As the seed asks: at level info.
    expect(logged.filter(({ msg }) => msg.startsWith('the parent bitmap was recreated'))).toMatchObject([
      { level: 'info', bitmap: full.chain.bitmap, method: 'unknown' },
    ]);
    expect(await explained(hole)).toMatch(/leaves a hole/);
    expect(await explained(hole)).toMatch(why);
    const { body: audit } = await service.get(`/audit/recreations?vm=${service.vm}`);
    expect(audit.items[0]).toMatchObject({ recreated: full.chain.bitmap, recreateMethod: 'unknown' });

    await service.lab.moment(service.vm, 'next');
    const next = await service.backup();
    expect(next).toMatchObject({ type: 'FULL', reason: 'parent-unproven' });
    expect(await holds(next, 'next')).toBe(true);
  });

  it('seed: takes the backup after a hole at once, and once, where the offering asks for it', async () => {
    await open('seed', false);
    await service.call('PATCH', '/offerings/daily', { body: { afterRecreation: 'at-once' } });
    const full = await service.backup();
    await lose(full.chain.bitmap);
    await write(0x22);
    await service.lab.moment(service.vm, 'hole');
    const hole = await service.backup();
    const runs = async (): Promise<RunDto[]> => ((await service.get(`/runs?vm=${service.vm}`)).body as { items: RunDto[] }).items;
    const [next] = await runs();
    expect(next).toMatchObject({ trigger: 'service', cause: expect.stringContaining(`Backup ${hole.id} is unproven`) });
    const closing = await service.ended(next?.id ?? '');
    const { body: closed } = await service.get(`/backups/${closing.backupId}`);
    expect(closed).toMatchObject({ type: 'FULL', reason: 'parent-unproven' });
    expect([await holds(hole, 'hole'), await holds(closed, 'hole')]).toEqual([false, true]);
    expect((await runs()).map(({ trigger }) => trigger)).toEqual(['service', 'rest', 'rest']);
    expect((await runs()).slice(1).map(({ cause }) => cause)).toEqual([null, null]);
  });

  it('seed: dispatches the same run as a full where the bitmap outlived a restart', async () => {
    await open('seed', false);
    await service.backup();
    await restart();
    const { body: queued } = await service.post('/backups', { vm: service.vm });
    const run = await service.ended(queued.id);
    expect(run).toMatchObject({ state: 'succeeded', plannedKind: 'full', reason: 'bitmap-unconfirmed', exitCode: 0 });
    expect(JSON.stringify(run.warnings)).toMatch(/first dispatched as incremental, exit 1: recreate-failed/);
    expect(JSON.stringify(run.warnings)).toMatch(/Failed to recreate parent bitmap/);
    expect((await service.get('/runs')).body.items).toHaveLength(2);
    expect((await service.get(`/backups/${run.backupId}`)).body).toMatchObject({ type: 'FULL', reason: 'bitmap-unconfirmed' });
  });

  it.each<[Dialect, string]>([
    ['seed', 'FULL bitmap-missing'],
    ['mid', 'FULL bitmap-missing'],
    ['final', 'FULL bitmap-missing'],
  ])('%s, ours beside it: does not ask for an incremental over a bitmap that is gone', async (dialect, expected) => {
    await open(dialect, true);
    const full = await service.backup();
    await lose(full.chain.bitmap);
    const next = await service.backup();
    expect(`${next.type} ${next.reason}`).toBe(expected);
  });

  it.each<[Dialect, boolean, string]>([
    ['seed', true, 'FULL bitmap-unconfirmed'],
    ['mid', false, 'FULL bitmap-unconfirmed'],
    ['mid', true, 'FULL bitmap-unconfirmed'],
    ['final', false, 'FULL bitmap-unconfirmed'],
    ['final', true, 'INCREMENTAL redefined'],
  ])(
    '%s, ours beside it %s: a stopped VM’s backup is a parent only where its bitmap is seen',
    async (dialect, beside, expected) => {
      await open(dialect, beside);
      await service.lab.vmStop(service.vm);
      const stopped = await service.backup();
      await service.lab.vmStart(service.vm);
      await write(0x33);
      await service.lab.moment(service.vm, 'next');
      const next = await service.backup();
      expect(stopped).toMatchObject({ type: 'FULL', assurance: 'unproven' });
      expect(`${next.type} ${next.reason}`).toBe(expected);
      expect(await holds(next, 'next')).toBe(true);
    },
  );

  it('books a lost end as something left behind, never as a failure of the data, and takes a full next', async () => {
    await open('seed', false);
    await service.backup();
    const { host } = service.lab;
    host.paceMs = 60_000;
    const { body: queued } = await service.post('/backups', { vm: service.vm });
    await until(() => host.homeJobs.size === 2, 'the script was started');
    for (const job of host.homeJobs.values()) job.kill();
    const run = await service.ended(queued.id);
    expect(run).toMatchObject({ state: 'failed', errorCode: 'outcome-lost' });
    expect((await service.get('/backups')).body.items[0]).toMatchObject({ status: 'Error', type: 'INCREMENTAL' });
    host.paceMs = 0;
    expect(await service.backup()).toMatchObject({ type: 'FULL', reason: 'bitmap-unconfirmed' });
  });

  it('goes on with a run that its orchestrator left, and starts nothing twice', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-stock-'));
    try {
      await open('seed', false, 1, { kind: 'sqlite', path: join(folder, 'books.sqlite') });
      await service.backup();
      const brake = new Brake(service.lab.host);
      const { body: queued } = await service.post('/backups', { vm: service.vm });
      await until(() => service.lab.host.homeJobs.size === 2, 'the script was started');
      await service.restart();
      brake.release();
      expect(await service.ended(queued.id)).toMatchObject({ state: 'succeeded', plannedKind: 'incremental', reason: 'regular' });
      expect(service.lab.host.homeJobs.size).toBe(2);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it.each([false, true])('ours beside it %s: changes no VM and removes nothing there', async (beside) => {
    await open('mid', beside);
    const { chain } = await service.backup();
    service.lab.host.mounts.add('/tmp/csbackup.left');
    const looked = await service.get(`/vms/${service.vm}/bitmaps`);
    expect(looked.body).toMatchObject(beside ? { activeCheckpoint: chain.bitmap } : { code: 'host.stock', status: 409 });
    for (const [path, of] of [
      [`/vms/${service.vm}/release`, 'release'],
      [`/vms/${service.vm}/release?dryRun=true`, 'release'],
      ['/hosts/kvm1/sweep', 'sweep'],
    ] as const) {
      const { body } = await service.post(path, {});
      expect(body).toMatchObject({ code: 'host.stock', status: 409, detail: expect.stringContaining(`no ${of} there`) });
    }
    expect(await service.lab.bitmaps(service.vm, 'vda')).toEqual([chain.bitmap]);
    expect(service.lab.host.mounts.size).toBe(1);
    await write(0x22);
    expect(await service.backup()).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
  });

  it('takes our bitmaps off a VM once ours takes the backups', async () => {
    await open('mid', true);
    const { chain } = await service.backup();
    await service.call('PATCH', '/hosts/kvm1', { body: { script: 'ours', dialect: 'seed' } });
    const { body } = await service.post(`/vms/${service.vm}/release`, {});
    expect(body).toMatchObject({ activeCheckpoint: chain.bitmap, bitmaps: [{ name: chain.bitmap }] });
    expect(await service.lab.bitmaps(service.vm, 'vda')).toEqual([]);
  });

  it('needs the disks of a VM that nothing can look at, and refuses what does not fit together', async () => {
    await open('mid', false);
    const { body: vm } = await service.post('/vms', { name: 'i-2-11-VM', host: 'kvm1' });
    expect(vm).toMatchObject({ code: 'vm.disks-needed', status: 400 });
    const refused = async (body: object): Promise<unknown> =>
      ((await service.call('PATCH', '/hosts/kvm1', { body })).body as { code: unknown }).code;
    expect(await refused({ script: 'ours' })).toBe('host.script-contradiction');
    expect(await refused({ script: 'ours', dialect: 'seed', beside: true })).toBe('host.script-contradiction');
    const { body: host } = await service.call('PATCH', '/hosts/kvm1', { body: { script: 'ours', dialect: 'final' } });
    expect(host).toMatchObject({ script: 'ours', stockPath: null, beside: false, dialect: 'final' });
  });
});
