import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { BackupDto, BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import { Client } from '../../src/cli/client';
import type { EventDto } from '../../src/events/dto/event.dto';
import type { RetentionPlanDto } from '../../src/retention/dto/retention.dto';
import type { DatabaseConfig } from '../../src/database/data-source';
import { type Service, startService } from '../../src/main';
import { Stage } from '../story/stage';
import { takeBackup } from '../story/story';
import { until } from '../support/brake';
import { runCli } from '../support/cli';
import { describeDatabases } from '../support/databases';
import { leftovers } from '../support/leftovers';
import { environmentOf, serviceConfig } from '../support/service-config';

const MIB = 1024 * 1024;
const copiesIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.gz')) : [];

/** The database is gone, the NAS is not: on a real host with a file, on the fake one with a server. */
describeDatabases('the books are lost', (databases) => {
  const folder = mkdtempSync(join(tmpdir(), 'ck-books-lost-'));
  const settings = { CHAINKEEPER_BOOKS_COPY_HOURS: '1000', CHAINKEEPER_BOOKS_COPIES: join(folder, 'copies') };
  const points: { backup: BackupWithEvidenceDto; moment: string }[] = [];
  let stage: Stage;
  let service: Service | undefined;
  let client: Client;

  const start = async (config: DatabaseConfig, more: Record<string, string>): Promise<void> => {
    service = await startService(serviceConfig(config, more), stage.adapters);
    client = new Client({ url: service.url });
  };
  const take = async (moment: string): Promise<BackupWithEvidenceDto> => {
    await stage.lab.write(stage.vm, 'vda', 0x21 + points.length, points.length * MIB, 2 * MIB);
    await stage.lab.write(stage.vm, 'vdb', 0x51 + points.length, 5 * MIB, MIB);
    await stage.lab.moment(stage.vm, moment);
    const backup = await takeBackup(client, stage.vm);
    points.push({ backup, moment });
    return backup;
  };
  /** All that people see of the VM's chain. */
  const seen = async (): Promise<unknown> => {
    const backups = await client.all<BackupDto>('/backups');
    const explained = await Promise.all(backups.map(({ id }) => client.get(`/backups/${id}/explain`)));
    const shown = await Promise.all(backups.map(({ id }) => client.get(`/backups/${id}`)));
    return [backups, explained, shown, await client.all('/runs'), await client.all('/chains'), await client.all('/vms')];
  };

  beforeAll(async () => {
    const kind = databases.kind === 'sqlite' ? 'real' : 'fake';
    stage = await Stage.open({ kind, folder, name: `lost-${databases.kind}` });
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await stage?.close();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it('a copy from the repository brings them back, and the chain goes on, byte for byte', async () => {
    const lost = await databases.fresh();
    await start(lost, {});
    await stage.register(client, { dialect: 'seed', fullEvery: 10 });
    await take('full');
    await take('incremental');
    const before = await seen();
    await service?.close();
    // The service copies the books at its start, and takes the copy to the NAS.
    await start(lost, settings);
    const place = stage.lab.nasFile(stage.nas, 'chainkeeper-books');
    const copy = async (): Promise<Buffer | null> => {
      const [name] = copiesIn(settings.CHAINKEEPER_BOOKS_COPIES);
      return stage.lab.read(`${place}/${name}`).catch(() => null);
    };
    await until(async () => (await copy()) !== null, 'the copy lies in the repository');
    const bytes = await copy();
    await service?.close();

    const file = join(folder, 'from-the-nas.jsonl.gz');
    writeFileSync(file, bytes ?? '');
    const fresh = await databases.fresh();
    const back = await runCli(['books', 'import', file], environmentOf(fresh));
    expect([back.code, back.err]).toEqual([0, '']);
    expect(back.out).toMatch(/^\d+ rows are back, as they were at \d{4}-/);
    await start(fresh, {});
    expect(await seen()).toEqual(before);

    const next = await take('after');
    expect([next.type, next.reason, next.assurance, next.chain.position, next.chain.chainId]).toEqual([
      ...['INCREMENTAL', 'regular', 'accounted', 2],
      points[0]?.backup.chain.chainId,
    ]);
    for (const { backup, moment } of points)
      for (const { target, file: image } of backup.disks)
        expect([
          moment,
          target,
          await stage.lab.same(stage.vm, moment, target, stage.lab.nasFile(stage.nas, `${backup.externalId}/${image}`)),
        ]).toEqual([moment, target, true]);
    // What comes after the books: the parent's bitmap goes, the manifest is written.
    expect(await leftovers(stage.lab, [next.chain.bitmap ?? ''])).toEqual([]);
    await service?.close();
    service = undefined;
  }, 240_000);

  it('nothing is taken from under a backup that they do not know, until somebody has compared them with the NAS', async () => {
    const lost = await databases.fresh();
    await start(lost, {});
    await stage.register(client, { dialect: 'seed', fullEvery: 10 });
    const known = [await take('known-full'), await take('known')] as const;
    await service?.close();
    const file = join(folder, 'too-early.jsonl.gz');
    expect((await runCli(['books', 'export', file], environmentOf(lost))).code).toBe(0);
    await start(lost, {});
    const unknown = await take('unknown');
    expect(unknown.chain.parentId).toBe(known[1].id);
    await service?.close();

    const fresh = await databases.fresh();
    const back = await runCli(['books', 'import', file], environmentOf(fresh));
    expect(back.out).toContain('of 1 VMs nothing is deleted until they were compared with the NAS');
    await start(fresh, {});
    const env = { ...environmentOf(fresh), CHAINKEEPER_URL: (service as Service).url };
    const rules = { keepLast: 1, manual: true };
    await client.send('PUT', `/vms/${stage.vm}/retention-policy`, rules);
    const next = await take('next');
    expect(next.type).toBe('FULL');
    // By its own books both could go now: the run that would follow a backup, a person's plan and a deletion leave them alone.
    const plan = await client.get<RetentionPlanDto>(`/vms/${stage.vm}/retention`);
    expect(plan.steps).toEqual([]);
    expect(plan.lines.map(({ fate }) => fate)).toEqual(['stays', 'stays', 'stays']);
    expect(plan.lines[1]?.why).toContain('nobody has compared them with the NAS');
    const path = `/backups/${known[1].id}`;
    await expect(client.send('DELETE', path)).rejects.toMatchObject({ code: 'deletion.not-compared' });
    for (const { target, file: image } of unknown.disks) {
      const there = stage.lab.nasFile(stage.nas, `${unknown.externalId}/${image}`);
      expect([target, await stage.lab.same(stage.vm, 'unknown', target, there)]).toEqual([target, true]);
    }
    const listed = await runCli(['books', 'not-compared'], env);
    expect([listed.code, listed.out]).toEqual([0, expect.stringContaining(stage.vm)]);
    expect((await runCli(['books', 'compared', '--why', 'looked'], env)).err).toContain('(cli.compared-vm)');
    expect((await runCli(['books', 'compared', stage.vm, '--why', 'looked', '--by', 'ops'], env)).code).toBe(0);
    expect((await runCli(['books', 'not-compared', '--json'], env)).out.trim()).toBe('[]');
    const [told] = await client.all<EventDto>('/events?kind=compared');
    expect(told).toMatchObject({ vm: stage.vm, message: expect.stringContaining('says ops: looked') as string });
    expect((await client.send('DELETE', `${path}?dryRun=true`)).status).toBe(200);
    const after = await client.get<RetentionPlanDto>(`/vms/${stage.vm}/retention`);
    expect(after.lines.map(({ fate }) => fate)).toEqual(['stays', 'removed', 'removed']);
    await service?.close();
    service = undefined;
  }, 240_000);

  it('the command line copies them beside a running service, and brings nothing into books that are there', async () => {
    const config = await databases.fresh();
    const env = environmentOf(config);
    const running = await startService(serviceConfig(config), stage.adapters);
    const file = join(folder, 'by-hand.jsonl.gz');
    try {
      const { code, out, err } = await runCli(['books', 'export', file, '--json'], env);
      expect([code, err]).toEqual([0, '']);
      expect(JSON.parse(out)).toMatchObject({ file, secretsLeftOut: null, rows: { backups: 0 } });
      if (databases.kind === 'sqlite') {
        const refused = await runCli(['books', 'import', file], env);
        expect([refused.code, refused.err]).toEqual([12, expect.stringContaining('(database.in-use)')]);
      }
      await new Client({ url: running.url }).send('POST', '/repositories', { name: 'n', type: 'nfs', address: 'nas:/x' });
    } finally {
      await running.close();
    }
    const refused = await runCli(['books', 'import', file], env);
    expect([refused.code, refused.err]).toEqual([11, expect.stringContaining('(books.not-empty)')]);
    const none = await runCli(['books', 'import', join(folder, 'none')], environmentOf(await databases.fresh()));
    expect([none.code, none.err]).toEqual([2, expect.stringContaining('(books.unreadable)')]);
  }, 120_000);

  it('credentials stay out of the NAS, and whoever brings the books back is told which are missing', async () => {
    const config = await databases.fresh();
    await start(config, {});
    await stage.register(client, { dialect: 'seed', fullEvery: 10 });
    const secret = { name: 'secret1', type: 'cifs', address: '//none/share', mountOptions: 'username=u,password=hunter2' };
    await client.send('POST', '/repositories', secret);
    await service?.close();
    const copies = join(folder, 'copies-of-secrets');
    await start(config, { ...settings, CHAINKEEPER_BOOKS_COPIES: copies });
    await until(() => copiesIn(copies).length === 1, 'a copy is made');
    await service?.close();
    service = undefined;
    const [name = ''] = copiesIn(copies);
    const back = await runCli(['books', 'import', join(copies, name)], environmentOf(await databases.fresh()));
    expect([back.code, back.out]).toEqual([3, expect.stringContaining('repository secret1 needs its credentials again')]);
    expect(gunzipSync(readFileSync(join(copies, name))).toString()).not.toContain('hunter2');
  }, 120_000);
});
