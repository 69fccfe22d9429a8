import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import { Client } from '../../src/cli/client';
import { OperationalError } from '../../src/domain/errors';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { startService } from '../../src/main';
import { Stage } from '../story/stage';
import { isIdentical, takeBackup, waitForRun } from '../story/story';
import { until } from '../support/brake';
import { describeDatabases } from '../support/databases';
import { FakeService, type HttpAnswer } from '../support/fake-service';
import { leftovers } from '../support/leftovers';
import { serviceConfig } from '../support/service-config';

jest.setTimeout(180_000);

const KIB = 1024;
const MIB = 1024 * KIB;

/** Every way of a deletion, as a client meets it; the fake host stands in for a hypervisor. */
describeDatabases('deleting', (databases) => {
  let service: FakeService;
  let serial = 0;
  beforeAll(async () => {
    service = await FakeService.start(await databases.fresh());
    await service.register({ offering: { fullEvery: 4 } });
  });
  afterAll(() => service?.close());

  /** A backup of what the disks hold now; the first of a chain on demand. */
  const take = async (mode = 'auto'): Promise<{ id: string; moment: string }> => {
    serial += 1;
    await service.lab.write(service.vm, 'vda', serial, serial * 64 * KIB, 64 * KIB);
    await service.lab.moment(service.vm, `point-${serial}`);
    return { id: ((await service.backup({ mode })) as { id: string }).id, moment: `point-${serial}` };
  };
  const remove = async (id: string, wishes = ''): Promise<HttpAnswer['body']> => {
    const answer = await service.call('DELETE', `/backups/${id}?${wishes}`);
    if (answer.status !== 202) throw new Error(answer.text);
    return service.ended((answer.body as { id: string }).id);
  };
  const shown = async (id: string): Promise<HttpAnswer['body']> => (await service.get(`/backups/${id}`)).body;
  const listed = async (): Promise<string[]> =>
    ((await service.get('/backups?limit=200')).body.items as { id: string }[]).map(({ id }) => id);
  const same = async ({ id, moment }: { id: string; moment: string }): Promise<boolean[]> => {
    const { externalId, disks } = (await shown(id)) as BackupWithEvidenceDto;
    return Promise.all(
      disks.map(({ target, file }) =>
        service.lab.same(service.vm, moment, target, service.lab.nasFile('nas1', `${externalId}/${file}`)),
      ),
    );
  };
  const directory = async (id: string): Promise<string> => ((await shown(id)) as BackupWithEvidenceDto).externalId ?? '';

  const isThere = (file: string): Promise<boolean> =>
    service.lab.read(file).then(
      () => true,
      () => false,
    );

  it('a leaf goes, files and row, and the next backup is a full', async () => {
    const [full, leaf] = [await take('full'), await take()];
    const path = await directory(leaf.id);
    const dry = await service.call('DELETE', `/backups/${leaf.id}?dryRun=true`);
    expect([dry.status, dry.body]).toEqual([
      200,
      {
        backup: leaf.id,
        steps: [
          expect.objectContaining({ kind: 'hide', backup: leaf.id }),
          expect.objectContaining({ kind: 'close-chain', backup: leaf.id }),
          expect.objectContaining({ kind: 'remove', backup: leaf.id, externalId: path }),
        ],
        pointsLost: [leaf.id],
        pointsLeft: 1,
        bytesFreed: expect.any(Number) as number,
      },
    ]);
    expect(await listed()).toContain(leaf.id);
    const run = await remove(leaf.id);
    expect(run).toMatchObject({ kind: 'delete', state: 'succeeded', plannedKind: 'deletion', warnings: [] });
    expect(run.progress).toEqual({ done: dry.body.bytesFreed, total: dry.body.bytesFreed });
    expect(await listed()).not.toContain(leaf.id);
    expect(await same(full)).toEqual([true, true]);
    expect(await service.lab.bitmaps(service.vm, 'vda')).toEqual([]);
    const next = await take();
    expect(await shown(next.id)).toMatchObject({ type: 'FULL', reason: 'bitmap-unconfirmed' });
  });

  it('one that others stand on is hidden, and goes with the last of those; no byte of the others changes', async () => {
    const [full, middle, leaf] = [await take('full'), await take(), await take()];
    expect(await remove(middle.id)).toMatchObject({ state: 'succeeded', progress: { done: 0, total: 0 } });
    expect(await shown(middle.id)).toMatchObject({ status: 'Hidden', restorable: false });
    for (const point of [full, leaf]) expect([point.id, await same(point)]).toEqual([point.id, [true, true]]);
    expect(await shown(leaf.id)).toMatchObject({ restorable: true, assurance: 'accounted' });
    // The chain goes on over it.
    const later = await take();
    expect(await shown(later.id)).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
    expect(await same(later)).toEqual([true, true]);
    await remove(later.id);
    await remove(leaf.id);
    expect(await listed()).not.toContain(middle.id);
    expect(await same(full)).toEqual([true, true]);
  });

  it('forced takes the whole chain, and only when another point is left or the loss is accepted', async () => {
    const chain = [await take('full'), await take()];
    const other = await take('full');
    const refused = await service.call('DELETE', `/backups/${other.id}?forced=true&dryRun=true`);
    expect(refused.status).toBe(200);
    expect(await remove(chain[0]?.id ?? '', 'forced=true')).toMatchObject({ state: 'succeeded' });
    const left = await listed();
    expect(chain.filter(({ id }) => left.includes(id))).toEqual([]);
    expect(await same(other)).toEqual([true, true]);
    // Everything else of the VM goes, then this one is the last.
    for (const id of left.filter((one) => one !== other.id)) await remove(id, 'acceptLoss=true').catch(() => undefined);
    const last = await service.call('DELETE', `/backups/${other.id}`);
    expect([last.status, last.body.code]).toEqual([409, 'deletion.last-point']);
    expect(await same(other)).toEqual([true, true]);
    expect(await remove(other.id, 'acceptLoss=true')).toMatchObject({ state: 'succeeded' });
    expect(await listed()).toEqual([]);
  });

  it('a protected one stays until somebody takes that back', async () => {
    const [full, leaf] = [await take('full'), await take()];
    const protect = (body: object): Promise<HttpAnswer> => service.call('PUT', `/backups/${leaf.id}/protection`, { body });
    const set = await protect({ by: 'ops', why: 'court order', until: '2099-01-01T00:00:00Z' });
    expect([set.status, set.body.protection]).toEqual([
      200,
      { by: 'ops', why: 'court order', until: '2099-01-01T00:00:00.000Z' },
    ]);
    for (const path of [`${leaf.id}?`, `${full.id}?forced=true&acceptLoss=true`]) {
      const refused = await service.call('DELETE', `/backups/${path}`);
      expect([refused.status, refused.body.code, refused.body.detail]).toEqual([
        409,
        'deletion.protected',
        expect.stringContaining('court order'),
      ]);
    }
    expect((await protect({ by: 'ops', why: 'x', until: '2001-01-01T00:00:00Z' })).body.code).toBe('protection.past');
    expect((await protect({ by: 'ops', why: ' \n ' })).status).toBe(400);
    expect((await service.call('DELETE', `/backups/${leaf.id}/protection`)).body.protection).toBeNull();
    expect(await remove(leaf.id)).toMatchObject({ state: 'succeeded' });
    expect((await protect({ by: 'ops', why: 'too late' })).body.code).toBe('protection.nothing-there');
  });

  it('the NAS is away: it fails with what was said, the backup is hidden, and a second call ends it', async () => {
    const leaf = await take();
    service.onCommand = ({ argv }) => {
      if (argv.includes('delete')) throw new OperationalError('host.unreachable', 'unreachable', 'Host kvm1 does not answer.');
    };
    const failed = await remove(leaf.id);
    service.onCommand = () => undefined;
    expect(failed).toMatchObject({ state: 'failed', errorCode: 'host.unreachable' });
    expect(await shown(leaf.id)).toMatchObject({ status: 'Hidden', restorable: false });
    expect(await remove(leaf.id)).toMatchObject({ state: 'succeeded' });
    expect(await listed()).not.toContain(leaf.id);
  });

  it('what somebody else has put beside its files stays and is named, whatever becomes of the run; its row goes', async () => {
    const chain = [await take('full'), await take()] as const;
    const paths = await Promise.all(chain.map(({ id }) => directory(id)));
    const file = (index: number, name: string): string => service.lab.nasFile('nas1', `${paths[index]}/${name}`);
    const text = async (index: number, name: string): Promise<string> => (await service.lab.read(file(index, name))).toString();
    for (const index of [0, 1]) await until(() => isThere(file(index, 'manifest.json')), 'both are described');
    await service.lab.put(file(1, 'notes.txt'), 'mine');
    await service.lab.put(file(1, 'sub/notes.txt'), 'mine, too');
    for (let n = 10; n < 22; n += 1) await service.lab.put(file(0, `notes-${n}`), 'mine');
    // The files of the first go; then the orchestrator stumbles, and whoever finds the run finds the host away.
    let asked = 0;
    service.onCommand = ({ argv }) => {
      if (!argv.includes('delete') || (asked += 1) < 2) return;
      if (asked === 2) throw new Error('stumbled');
      throw new OperationalError('host.unreachable', 'unreachable', 'Host kvm1 does not answer.');
    };
    const failed = await remove(chain[1].id, 'forced=true&acceptLoss=true');
    service.onCommand = () => undefined;
    const left = `left on the NAS, no file of the backup: ${paths[1]}/notes.txt, ${paths[1]}/sub`;
    expect(failed).toMatchObject({ state: 'failed', errorCode: 'host.unreachable', warnings: [left] });
    expect(await listed()).not.toContain(chain[1].id);
    expect([await text(1, 'notes.txt'), await text(1, 'sub/notes.txt')]).toEqual(['mine', 'mine, too']);
    // Nobody heard that the second had gone, so it is asked for again.
    service.lab.host.faults.add({ kind: 'lost-after', on: 'delete' });
    expect(await remove(chain[0].id)).toMatchObject({ state: 'failed', errorCode: 'deletion.failed', warnings: [] });
    const run = await remove(chain[0].id);
    expect(run).toMatchObject({ state: 'succeeded' });
    expect(run.warnings).toEqual([expect.stringMatching(/^left on the NAS, .*\/notes-10, .*\/notes-19 and 2 more$/)]);
    expect(await listed()).not.toContain(chain[0].id);
    expect(await text(0, 'notes-21')).toBe('mine');
  });

  it('where nothing lies the row goes, and the run warns and counts no bytes', async () => {
    const [full, leaf] = [await take('full'), await take()];
    const path = await directory(leaf.id);
    await until(() => isThere(service.lab.nasFile('nas1', `${path}/manifest.json`)), 'it is described');
    // As where a `dir` has lost its own mount: what is below is empty.
    await service.lab.takeAway(service.lab.nasFile('nas1', path));
    const run = await remove(leaf.id);
    expect(run).toMatchObject({ state: 'succeeded', progress: { done: 0, total: expect.any(Number) as number } });
    expect(run.warnings).toEqual([
      `was not there: host kvm1 found nothing at ${path} in nas1, so nothing was freed; if it should have been, look whether the repository is mounted there`,
    ]);
    expect(await listed()).not.toContain(leaf.id);
    expect(await same(full)).toEqual([true, true]);
  });

  it('a manifest that cannot be used: the run says how to go on, nothing is removed, and that works', async () => {
    const leaf = await take('full');
    const manifest = service.lab.nasFile('nas1', `${await directory(leaf.id)}/manifest.json`);
    await until(() => isThere(manifest), 'it is described');
    await service.lab.put(manifest, '{"disks":[{"file":"../other/root.qcow2"}]}');
    const failed = await remove(leaf.id, 'acceptLoss=true');
    expect(failed).toMatchObject({ state: 'failed', errorCode: 'deletion.failed' });
    expect(failed.errorMessage).toContain('nothing was removed');
    expect(await same(leaf)).toEqual([true, true]);
    await service.lab.takeAway(manifest);
    expect(await remove(leaf.id)).toMatchObject({ state: 'succeeded', warnings: [] });
  });

  it('the same key again is the same run; what is gone is gone', async () => {
    const leaf = await take();
    const call = (): Promise<HttpAnswer> =>
      service.call('DELETE', `/backups/${leaf.id}`, { headers: { 'idempotency-key': leaf.id } });
    const [first, second] = [await call(), await call()];
    expect([first.status, second.status, second.body.id]).toEqual([202, 202, first.body.id]);
    expect(first.headers.get('location')).toBe(`/api/v1/runs/${first.body.id}`);
    await service.ended(first.body.id as string);
    expect(await remove(leaf.id)).toMatchObject({ state: 'succeeded', progress: { done: 0, total: 0 } });
    expect((await service.call('DELETE', '/backups/none')).status).toBe(404);
  });
});

/** A chain of six on a real host: whatever is deleted, what is left is what the disks held. */
describe('deleting on a real host', () => {
  it('leaf, middle and full go, and every point that is left is identical after each', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-delete-'));
    const stage = await Stage.open({ kind: 'real', folder, name: 'delete' });
    const service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    try {
      const client = new Client({ url: service.url });
      await stage.register(client, { dialect: 'seed', fullEvery: 10 });
      const story = stage.story(client, () => undefined);
      const points: { backup: BackupWithEvidenceDto; label: string }[] = [];
      for (let serial = 1; serial <= 6; serial += 1) {
        await stage.lab.write(stage.vm, 'vda', serial, serial * MIB, MIB);
        await stage.lab.write(stage.vm, 'vdb', 0x40 + serial, (serial % 3) * MIB, 64 * KIB);
        await stage.lab.moment(stage.vm, `point-${serial}`);
        points.push({ backup: await takeBackup(client, stage.vm), label: `point-${serial}` });
      }
      const onNas = (): number => readdirSync(stage.lab.nasFile(stage.nas, stage.vm)).length;
      const remove = async (index: number): Promise<void> => {
        const { body } = await client.send<RunDto>('DELETE', `/backups/${points[index]?.backup.id}`);
        expect(await waitForRun(client, body.id)).toMatchObject({ state: 'succeeded', warnings: [] });
      };
      const wrong = async (gone: readonly number[]): Promise<string[]> => {
        const differ: string[] = [];
        for (const [index, { backup, label }] of points.entries())
          if (!gone.includes(index) && !(await isIdentical(story, backup, label))) differ.push(label);
        return differ;
      };
      expect(points.map(({ backup }) => backup.type)).toEqual(['FULL', ...Array<string>(5).fill('INCREMENTAL')]);
      await remove(2);
      expect([onNas(), await wrong([2])]).toEqual([6, []]);
      await remove(5);
      expect([onNas(), await wrong([2, 5])]).toEqual([5, []]);
      expect(await stage.lab.bitmaps(stage.vm, 'vda')).toEqual([]);
      await remove(0);
      expect([onNas(), await wrong([0, 2, 5])]).toEqual([5, []]);
      await remove(4);
      await remove(3);
      // The hidden one below it has gone along.
      expect([onNas(), await wrong([0, 2, 3, 4, 5])]).toEqual([2, []]);
      // A new chain beside it, then all of the old one.
      await stage.lab.moment(stage.vm, 'anew');
      const anew = await takeBackup(client, stage.vm);
      expect([anew.type, anew.reason]).toEqual(['FULL', 'bitmap-unconfirmed']);
      await remove(1);
      expect([onNas(), await isIdentical(story, anew, 'anew')]).toEqual([1, true]);
      expect(await leftovers(stage.lab, anew.chain.bitmap ? [anew.chain.bitmap] : [])).toEqual([]);
    } finally {
      await service.close();
      await stage.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
