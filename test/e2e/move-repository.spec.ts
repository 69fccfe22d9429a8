import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import { Client } from '../../src/cli/client';
import { OperationalError } from '../../src/domain/errors';
import { startService } from '../../src/main';
import { Stage } from '../story/stage';
import { takeBackup, waitForRun } from '../story/story';
import { until } from '../support/brake';
import { runCli } from '../support/cli';
import { describeDatabases } from '../support/databases';
import { FakeService } from '../support/fake-service';
import { leftovers } from '../support/leftovers';
import { serviceConfig } from '../support/service-config';

const MIB = 1024 * 1024;

interface Taken {
  readonly backup: BackupWithEvidenceDto;
  readonly label: string;
  readonly nas: string;
}

/** An offering is moved to another NAS on a real host, and back: what lies where, and what it holds. */
describe('moving an offering to another repository', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-move-'));
  let stage: Stage;
  let service: Awaited<ReturnType<typeof startService>>;
  let client: Client;
  const taken: Taken[] = [];

  /** The guest writes, a backup is taken; it must be on that NAS. */
  const take = async (nas: string): Promise<BackupWithEvidenceDto> => {
    const label = `point-${taken.length + 1}`;
    for (const [index, target] of stage.targets.entries())
      await stage.lab.write(stage.vm, target, 0x20 + taken.length, (taken.length + index) * MIB, 2 * MIB);
    await stage.lab.moment(stage.vm, label);
    const backup = await takeBackup(client, stage.vm);
    taken.push({ backup, label, nas });
    return backup;
  };
  const identical = async ({ backup, label, nas }: Taken): Promise<boolean> => {
    const same = backup.disks.map(({ target, file }) =>
      stage.lab.same(stage.vm, label, target, stage.lab.nasFile(nas, `${backup.externalId}/${file}`)),
    );
    return backup.disks.length === 2 && (await Promise.all(same)).every(Boolean);
  };
  const ck = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await runCli(args, { CHAINKEEPER_URL: service.url });
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`);
    return out;
  };

  beforeAll(async () => {
    stage = await Stage.open({ kind: 'real', folder, name: 'move' });
    service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    client = new Client({ url: service.url });
    await stage.register(client, { dialect: 'seed', fullEvery: 10 });
    await ck('repo', 'add', 'second', '--type', 'dir', '--address', await stage.lab.nas('second'));
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await stage?.close();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it('starts a new chain there, goes on in it, and starts another one when it is moved back', async () => {
    const first = stage.nas;
    const full = await take(first);
    expect(await take(first)).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });

    expect(await ck('offering', 'change', 'story', '--repository', 'second')).toMatch(/^repository +second$/m);
    expect(await ck('backup', stage.vm, '--dry-run')).toMatch(/^full because repository-changed: /);
    const moved = await take('second');
    expect(moved).toMatchObject({ type: 'FULL', reason: 'repository-changed', assurance: 'accounted', restorable: true });
    expect(moved.chain).toMatchObject({ position: 0, parentId: null });
    expect(moved.chain.chainId).not.toBe(full.chain.chainId);
    expect(moved.repositoryId).not.toBe(full.repositoryId);
    const next = await take('second');
    expect(next).toMatchObject({ type: 'INCREMENTAL', reason: 'regular', assurance: 'accounted' });
    expect(next.chain).toMatchObject({ chainId: moved.chain.chainId, position: 1, parentId: moved.id });

    await ck('offering', 'change', 'story', '--repository', first);
    expect(await take(first)).toMatchObject({ type: 'FULL', reason: 'repository-changed' });
    expect(await take(first)).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
  }, 300_000);

  it('keeps every point where it was written, byte for byte, and nothing of the old chain on the VM', async () => {
    for (const point of taken) expect([point.label, await identical(point)]).toEqual([point.label, true]);
    const last = taken.at(-1)?.backup.chain.bitmap ?? '';
    expect(await stage.lab.bitmaps(stage.vm, 'vda')).toEqual([last]);
    expect(await leftovers(stage.lab, [last])).toEqual([]);
  }, 120_000);

  it('restores and deletes a point where it lies, wherever the offering points by now', async () => {
    const [first, , moved, next] = taken as [Taken, Taken, Taken, Taken];
    expect(await ck('runbook', moved.backup.id)).toContain(stage.lab.nasFile('second', '').replace(/\/$/, ''));
    const { body } = await client.send<{ id: string }>('DELETE', `/backups/${next.backup.id}`);
    expect(await waitForRun(client, body.id)).toMatchObject({ state: 'succeeded' });
    const there = (point: Taken): Promise<boolean> => identical(point).catch(() => false);
    expect([await there(next), await there(moved), await there(first)]).toEqual([false, true, true]);
  }, 120_000);
});

describeDatabases('several repositories', (databases) => {
  let service: FakeService;
  beforeAll(async () => {
    service = await FakeService.start(await databases.fresh());
    await service.register();
    await service.post('/repositories', { name: 'nas2', type: 'dir', address: await service.lab.nas('nas2') });
  });
  afterAll(async () => service?.close());
  const offer = (repository: string, name = 'daily') => service.call('PATCH', `/offerings/${name}`, { body: { repository } });
  const idOf = async (name: string): Promise<string> => (await service.get(`/repositories/${name}`)).body.id as string;

  it('moves a VM by another offering as well, and removes no repository in which backups lie', async () => {
    await service.backup();
    await service.post('/offerings', { name: 'elsewhere', repository: 'nas2' });
    await service.call('PUT', `/vms/${service.vm}/offering`, { body: { offering: 'elsewhere' } });
    const moved = await service.backup();
    expect(moved).toMatchObject({ type: 'FULL', reason: 'repository-changed', repositoryId: await idOf('nas2') });
    // Nothing points at nas1 but what was written there; nobody has `daily` any more.
    expect(await offer('nas2')).toMatchObject({ status: 200, body: { repository: 'nas2' } });
    expect(await service.call('DELETE', '/repositories/nas1')).toMatchObject({
      status: 409,
      body: { code: 'repository.in-use', detail: 'It is still needed by 1 backups.' },
    });
    expect(await offer('nope')).toMatchObject({ status: 404, body: { code: 'repository.not-found' } });
    const [, old] = (await service.get('/backups')).body.items as { id: string; repositoryId: string }[];
    expect(old?.repositoryId).toBe(await idOf('nas1'));
    const deletion = await service.call('DELETE', `/backups/${old?.id}`);
    expect(await service.ended(deletion.body.id as string)).toMatchObject({ state: 'succeeded' });
    expect(await service.call('DELETE', '/repositories/nas1')).toMatchObject({ status: 204 });
    expect((await service.backup()).type).toBe('INCREMENTAL');
  });

  it('lets a run that has its plan end where it was planned, when the offering is moved meanwhile', async () => {
    await service.post('/repositories', { name: 'nas3', type: 'dir', address: await service.lab.nas('nas3') });
    let moved = false;
    service.onCommand = async ({ argv }) => {
      if (moved || !argv.includes('start')) return;
      moved = true;
      await offer('nas3', 'elsewhere');
    };
    const during = await service.backup();
    service.onCommand = () => undefined;
    expect([moved, during.type, during.repositoryId]).toEqual([true, 'INCREMENTAL', await idOf('nas2')]);
    expect(await service.backup()).toMatchObject({ reason: 'repository-changed', repositoryId: await idOf('nas3') });
  });

  it('lets whoever finds such a run finish it where it was planned', async () => {
    await service.lab.write(service.vm, 'vda', 0x44, 65_536, 65_536);
    let away = true;
    service.onCommand = ({ argv }) => {
      if (away && argv.some((word) => word === 'start' || word === 'status'))
        throw new OperationalError('host.outcome-unknown', 'unreachable', 'Nobody saw it.');
    };
    const { body: run } = await service.post('/backups', { vm: service.vm });
    await until(
      async () => (await service.get(`/runs/${run.id}`)).body.state === 'unknown',
      'nobody knows whether the job began',
    );
    await offer('nas2', 'elsewhere');
    await service.restart();
    away = false;
    const { state, backupId } = await service.ended(run.id as string);
    const backup = (await service.get(`/backups/${backupId}`)).body;
    expect([state, backup.type, backup.repositoryId]).toEqual(['succeeded', 'INCREMENTAL', await idOf('nas3')]);
    const { host } = service.lab;
    const nas3 = host.nases.get(await service.lab.nas('nas3'));
    for (const { target, file } of backup.disks as { target: string; file: string }[])
      expect(nas3?.holds(`${backup.externalId}/${file}`, host.vm(service.vm).disk(target).content)).toBe(true);
  });
});
