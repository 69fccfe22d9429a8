import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import type { ChecksumsDto } from '../../src/backups/dto/checksums.dto';
import { Client } from '../../src/cli/client';
import type { DatabaseConfig } from '../../src/database/data-source';
import { openBooks } from '../../src/database/open-books';
import { BackupRow } from '../../src/database/entities/backup-row';
import { LinkRow } from '../../src/database/entities/link-row';
import { type Service, startService } from '../../src/main';
import type { CreateRestoreDto } from '../../src/restores/dto/create-restore.dto';
import type { RestoreDto } from '../../src/restores/dto/restore.dto';
import type { RunDto } from '../../src/runs/dto/run.dto';
import type { VmDto } from '../../src/inventory/dto/vm.dto';
import { RealLab } from '../lab/lab';
import { addHost, Stage } from '../story/stage';
import { isIdentical, takeBackup, waitForRun } from '../story/story';
import { until } from '../support/brake';
import { startScript } from '../support/node-script';
import { leftovers } from '../support/leftovers';
import { environmentOf, serviceConfig } from '../support/service-config';
import { FULL } from '../support/thorough';

const KIB = 1024;
const MIB = 1024 * KIB;
/** What the faults of restores strike as well (test/faults). */
const inFull = (...test: Parameters<typeof it>): void => {
  if (FULL) it(...test);
};
const LEASE = { CHAINKEEPER_LEASE_SECONDS: '3' };

/**
 * Every way of a restore through the whole service on a real host, each compared byte for byte with what the disks held. What the host
 * script does at each step is in agent/test/restore.bats, what is only REST and books in restores.spec.ts.
 */
describe('restoring on a real host', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-restore-'));
  const out = join(folder, 'out');
  const books: DatabaseConfig = { kind: 'sqlite', path: join(folder, 'books.sqlite') };
  const points: { backup: BackupWithEvidenceDto; moment: string }[] = [];
  let stage: Stage;
  let service: Service;
  let client: Client;
  let written = 0;

  /** A backup of what the guest has written since. */
  const take = async (): Promise<BackupWithEvidenceDto> => {
    const { lab, vm } = stage;
    written += 1;
    await lab.write(vm, 'vda', written, written * MIB, 2 * MIB);
    await lab.write(vm, 'vdb', 0x80 + written, 16 * MIB + written * 64 * KIB, 128 * KIB);
    await lab.moment(vm, `point-${written}`);
    points.push({ backup: await takeBackup(client, vm), moment: `point-${written}` });
    return points.at(-1)?.backup as BackupWithEvidenceDto;
  };
  const point = (index: number): { id: string; moment: string } => {
    const { backup, moment } = points.at(index) ?? {};
    return { id: backup?.id ?? '', moment: moment ?? '' };
  };
  const begin = async (body: Partial<CreateRestoreDto>): Promise<string> =>
    (await client.send<RunDto>('POST', '/restores', body)).body.id;
  const restore = async (body: Partial<CreateRestoreDto>): Promise<RestoreDto> => {
    const id = await begin(body);
    await waitForRun(client, id);
    return client.get<RestoreDto>(`/restores/${id}`);
  };
  const SAME = { identical: true, run: { state: 'succeeded', errorCode: null, exitCode: 0 } };
  const holds = (moment: string, files: Readonly<Record<string, string>>): Promise<boolean[]> =>
    Promise.all(Object.entries(files).map(([target, file]) => stage.lab.same(stage.vm, moment, target, file)));
  const files = (name: string): Record<string, string> => ({
    vda: join(out, `${name}-vda.qcow2`),
    vdb: join(out, `${name}-vdb.qcow2`),
  });
  const volumes = async (): Promise<Record<string, string>> =>
    Object.fromEntries((await stage.lab.vmDisks(stage.vm)).map(({ target, path }) => [target, path]));
  /** From here on the record of what the disks hold goes on from that moment. */
  const goesOnFrom = (moment: string, targets: readonly string[] = stage.targets): void => {
    const record = (target: string, at: string): string => join(folder, 'lab/mirror', `${stage.vm}.${target}${at}.raw`);
    for (const target of targets) copyFileSync(record(target, `@${moment}`), record(target, ''));
  };
  /** Backups on the NAS with their chains; the last alone, or all that were taken. */
  const identical = (some = points.slice(-1)): Promise<boolean[]> =>
    Promise.all(
      some.map(({ backup, moment }) =>
        isIdentical(
          stage.story(client, () => undefined),
          backup,
          moment,
        ),
      ),
    );

  beforeAll(async () => {
    stage = await Stage.open({ kind: 'real', folder, name: 'restores' });
    mkdirSync(out, { mode: 0o711 });
    service = await startService(serviceConfig(books, LEASE));
    client = new Client({ url: service.url });
    await stage.register(client, { dialect: 'seed', fullEvery: 20 });
    for (let link = 0; link < 3; link += 1) await take();
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await stage?.close();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it('every point as new disks, while the VM runs and its chain goes on', async () => {
    for (const [index, { backup, moment }] of points.entries()) {
      const to = join(out, moment);
      mkdirSync(to);
      const done = await restore({ backup: backup.id, way: 'new-disks', to, format: index === 1 ? 'raw' : 'qcow2' });
      expect(done).toMatchObject({ ...SAME, assurance: 'accounted', vmTouched: null });
      expect(done.result?.disks.map(({ identical: same, links, hashed }) => [same, links, hashed])).toEqual([
        [true, index + 1, 0],
        [true, index + 1, 0],
      ]);
      const [vda = '', vdb = ''] = done.plan?.disks.map((disk) => disk.to) ?? [];
      expect([moment, await holds(moment, { vda, vdb })]).toEqual([moment, [true, true]]);
    }
    expect(await take()).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
  }, 120_000);

  it('in place: an older point, and one whose volume is gone; the next backup is a full, identical', async () => {
    const { lab, vm } = stage;
    const body = { backup: point(1).id, way: 'in-place' } as const;
    await expect(begin(body)).rejects.toMatchObject({ code: 'restore.vm-running' });
    await lab.vmStop(vm);
    expect(await restore(body)).toMatchObject({ ...SAME, result: { swapped: true } });
    expect(await holds(point(1).moment, await volumes())).toEqual([true, true]);
    rmSync((await volumes())['vdb'] ?? '');
    expect(await restore({ ...body, backup: point(2).id })).toMatchObject(SAME);
    expect(await holds(point(2).moment, await volumes())).toEqual([true, true]);
    expect((await client.get<VmDto>(`/vms/${vm}`)).activeCheckpoint).toBeNull();
    goesOnFrom(point(2).moment);
    await lab.vmStart(vm);
    expect(await take()).toMatchObject({ type: 'FULL', reason: 'restored-since', assurance: 'accounted' });
    expect(await identical()).toEqual([true]);
  }, 120_000);

  it('in place where the offering rescues: the chain goes on, by comparison, identical', async () => {
    const { lab, vm } = stage;
    await client.send('PATCH', '/offerings/story', { onLostBitmap: 'rescue' });
    const { chain } = await take();
    await lab.vmStop(vm);
    expect(await restore({ backup: point(0).id, way: 'in-place', disks: ['vda'] })).toMatchObject(SAME);
    const { vda = '', vdb = '' } = await volumes();
    expect([await holds(point(0).moment, { vda }), await holds(point(-1).moment, { vdb })]).toEqual([[true], [true]]);
    goesOnFrom(point(0).moment, ['vda']);
    await lab.vmStart(vm);
    const rescued = await take();
    expect(rescued).toMatchObject({ type: 'INCREMENTAL', reason: 'rescued', assurance: 'accounted' });
    expect(rescued.chain).toMatchObject({ chainId: chain.chainId, recreateMethod: 'rescued' });
    expect(await take()).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
    expect(await identical(points.slice(-2))).toEqual([true, true]);
  }, 120_000);

  it('as a new VM; one disk attached to another VM; on another host than the one that took it', async () => {
    const { lab, vm } = stage;
    if (!(lab instanceof RealLab)) throw new Error('a real lab');
    const name = `${vm}-copy`;
    const domain = await restore({ backup: point(-1).id, way: 'new-domain', newName: name, to: out });
    await lab.domainRemove(name);
    expect(domain).toMatchObject({ ...SAME, result: { domain: { name } } });
    expect(await holds(point(-1).moment, files(name))).toEqual([true, true]);

    const other = `${vm}-other`;
    await lab.vmCreate(other, [{ target: 'vda', size: MIB }]);
    await lab.vmStart(other);
    const single = { backup: point(1).id, way: 'new-disks', disks: ['vdb'], to: out } satisfies Partial<CreateRestoreDto>;
    const attached = await restore({ ...single, attachTo: other });
    await lab.vmRemove(other);
    expect(attached).toMatchObject({ ...SAME, result: { attached: { vm: other, target: 'vdb' } } });
    expect(await holds(point(1).moment, { vdb: files(vm)['vdb'] ?? '' })).toEqual([true]);

    const second = await addHost(client, await lab.accessOf(`${lab.user}2`), 'seed');
    const places = [{ target: 'vda', path: join(out, 'elsewhere.qcow2') }];
    const elsewhere = await restore({ backup: point(0).id, way: 'new-disks', disks: ['vda'], places, host: second.name });
    expect(elsewhere).toMatchObject({ ...SAME, plan: { host: second.name } });
    expect(await holds(point(0).moment, { vda: places[0]?.path ?? '' })).toEqual([true]);
  }, 120_000);

  inFull(
    'cancelled in its middle: the VM has its disks, and its chain goes on',
    async () => {
      const { lab, vm } = stage;
      await lab.write(vm, 'vda', 0x77, 40 * MIB, 64 * KIB);
      await lab.vmStop(vm);
      await lab.moment(vm, 'before');
      const id = await begin({ backup: point(-1).id, way: 'in-place', bandwidth: 1 });
      await until(async () => ((await client.get<RunDto>(`/runs/${id}`)).progress?.done ?? 0) > 0, 'it copies');
      await client.send('POST', `/runs/${id}/abort`);
      expect(await waitForRun(client, id)).toMatchObject({ state: 'cancelled', errorCode: 'job-cancelled' });
      expect(await client.get<RestoreDto>(`/restores/${id}`)).toMatchObject({ vmTouched: null, identical: null });
      expect(await holds('before', await volumes())).toEqual([true, true]);
      await lab.vmStart(vm);
      expect(await take()).toMatchObject({ type: 'INCREMENTAL', reason: 'redefined' });
      expect(await identical()).toEqual([true]);
    },
    120_000,
  );

  inFull(
    'the service killed in its middle: the next one finds the job and its end; an unproven point only when accepted',
    async () => {
      const { lab, vm } = stage;
      await service.close();
      const opened = await openBooks(books);
      try {
        // As if nobody had measured it.
        const { manager } = opened.dataSource;
        const { id: backupId } = await manager.findOneByOrFail(BackupRow, { uuid: point(-1).id });
        await manager.update(LinkRow, { backupId }, { assurance: 'unproven' });
      } finally {
        await opened.close();
      }
      const doomed = startScript(
        'test/e2e/child/die-when-done.ts',
        null,
        environmentOf(books, { ...LEASE, CHAINKEEPER_OWNER: 'doomed' }),
      );
      client = new Client({ url: await doomed.line('http') });
      await lab.vmStop(vm);
      const body = { backup: point(-1).id, way: 'in-place', bandwidth: 2 } as const;
      await expect(begin(body)).rejects.toMatchObject({ code: 'restore.unproven' });
      const accept = { level: 'unproven', by: 'night shift', why: 'the array is on fire' } as const;
      const id = await begin({ ...body, accept });
      await until(async () => ((await client.get<RunDto>(`/runs/${id}`)).progress?.done ?? 0) > 0, 'it copies');
      await doomed.kill();
      service = await startService(serviceConfig(books, { ...LEASE, CHAINKEEPER_OWNER: 'next' }));
      client = new Client({ url: service.url });
      expect(await client.get<RestoreDto>(`/restores/${id}`)).toMatchObject({ run: { ended: null }, identical: null });
      await waitForRun(client, id);
      expect(await client.get<RestoreDto>(`/restores/${id}`)).toMatchObject({ ...SAME, assurance: 'unproven', accepted: accept });
      expect(await holds(point(-1).moment, await volumes())).toEqual([true, true]);
      goesOnFrom(point(-1).moment);
      await lab.vmStart(vm);
      // Its parent is unproven, so there is nothing to compare with.
      expect(await take()).toMatchObject({ type: 'FULL' });
      expect(await identical(points)).toEqual(points.map(() => true));
      const known = points.flatMap(({ backup }) => backup.chain.bitmap ?? []);
      expect(await leftovers(lab, known)).toEqual([]);
      expect(readdirSync(out, { recursive: true }).filter((name) => /restore-|before-/.test(String(name)))).toEqual([]);
    },
    120_000,
  );

  it('a point with a flipped byte: found by its checksums, refused, then salvaged; only that byte is lost', async () => {
    const { lab } = stage;
    const { backup, moment } = points.at(-1) ?? {};
    if (backup === undefined || moment === undefined) throw new Error('there are points');
    const checksums = async (query: string): Promise<void> => {
      await client.send('POST', `/backups/${backup.id}/checksums${query}`, {});
      await until(
        async () => (await client.get<ChecksumsDto>(`/backups/${backup.id}/checksums`)).reading === null,
        'its files were read',
      );
    };
    await checksums('');
    const file = lab.nasFile(stage.nas, `${backup.externalId}/${backup.disks[0]?.file}`);
    await lab.flip(file);
    await checksums('?verify=true');
    const body = { backup: backup.id, way: 'new-disks', to: join(out, 'salvaged') } as const;
    mkdirSync(body.to);
    await expect(begin(body)).rejects.toMatchObject({ code: 'restore.broken' });
    const accept = { level: 'broken', by: 'night shift', why: 'nothing else is left' } as const;
    const done = await restore({ ...body, accept });
    expect(done).toMatchObject({ run: { state: 'succeeded' }, assurance: 'broken', accepted: accept });
    expect(done.run.warnings.join('\n')).toContain(backup.disks[0]?.file ?? '-');
    const [vda = '', vdb = ''] = done.plan?.disks.map((disk) => disk.to) ?? [];
    expect(await holds(moment, { vda, vdb })).toEqual([false, true]);
    const { stdout } = await promisify(execFile)('qemu-img', ['convert', '-O', 'raw', vda, join(out, 'salvaged.raw')]);
    const [held, came] = [join(folder, 'lab/mirror', `${stage.vm}.vda@${moment}.raw`), join(out, 'salvaged.raw')];
    const differing = await promisify(execFile)('cmp', ['-l', held, came]).catch((error: { stdout: string }) => error);
    expect([stdout, differing.stdout.trim().split('\n').length]).toEqual(['', 1]);
  }, 120_000);
});
