import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import type { RunbookDto } from '../../src/backups/dto/runbook.dto';
import { Client } from '../../src/cli/client';
import { type Service, startService } from '../../src/main';
import { Stage } from '../story/stage';
import { takeBackup } from '../story/story';
import { leftovers } from '../support/leftovers';
import { serviceConfig } from '../support/service-config';

const run = promisify(execFile);
const MIB = 1024 * 1024;

/** What people run when the service is gone, word for word: a full, an incremental, one over a restart. */
describe('restoring by hand', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-runbook-'));
  const points: { backup: BackupWithEvidenceDto; moment: string }[] = [];
  let stage: Stage;
  let service: Service;
  let client: Client;

  beforeAll(async () => {
    stage = await Stage.open({ kind: 'real', folder, name: 'runbook' });
    service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    client = new Client({ url: service.url });
    await stage.register(client, { dialect: 'seed', fullEvery: 10 });
    for (const moment of ['full', 'incremental', 'restarted']) {
      if (moment === 'restarted') {
        await stage.lab.vmStop(stage.vm);
        await stage.lab.vmStart(stage.vm);
      }
      await stage.lab.write(stage.vm, 'vda', 0x21 + points.length, points.length * MIB, 2 * MIB);
      await stage.lab.write(stage.vm, 'vdb', 0x51 + points.length, 5 * MIB, MIB);
      await stage.lab.moment(stage.vm, moment);
      points.push({ backup: await takeBackup(client, stage.vm), moment });
    }
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await stage?.close();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it('the printed runbook brings every point back', async () => {
    for (const { backup, moment } of points) {
      const to = join(folder, `it's ${moment}`);
      const { lines } = await client.get<RunbookDto>(`/backups/${backup.id}/runbook?to=${encodeURIComponent(to)}`);
      const { stdout } = await run('/bin/sh', ['-c', lines.join('\n')]);
      expect(stdout.match(/Images are identical/g)).toHaveLength(2);
      expect(readdirSync(to).sort()).toEqual(['domain-config.xml', 'vda.qcow2', 'vdb.qcow2']);
      for (const target of ['vda', 'vdb'])
        expect([moment, target, await stage.lab.same(stage.vm, moment, target, join(to, `${target}.qcow2`))]).toEqual([
          moment,
          target,
          true,
        ]);
      // A second time it would write over what is there.
      await expect(run('/bin/sh', ['-c', lines.join('\n')])).rejects.toMatchObject({
        stderr: expect.stringContaining('a file is there already') as string,
      });
    }
    const known = points.map(({ backup }) => backup.chain.bitmap ?? '');
    expect(await leftovers(stage.lab, known)).toEqual([]);
  }, 120_000);

  it('the commands of the page do, without the books', async () => {
    const page = readFileSync(join(__dirname, '../../docs/restore-by-hand.md'), 'utf8');
    const commands = /```sh\n([\s\S]*?)```/.exec(page)?.[1] ?? 'false';
    for (const { backup, moment } of points) {
      const to = join(folder, `page-${moment}`);
      mkdirSync(to);
      const env = { ...process.env, SOURCE: `--bind ${await stage.lab.nas(stage.nas)}`, POINT: backup.externalId ?? '', TO: to };
      await run('/bin/sh', ['-c', commands], { env });
      for (const { target, file } of backup.disks)
        expect([moment, target, await stage.lab.same(stage.vm, moment, target, join(to, file ?? ''))]).toEqual([
          moment,
          target,
          true,
        ]);
    }
  }, 120_000);

  it('a chain with a link missing is not restored, and nothing is left half done in its place', async () => {
    const [, middle] = points;
    const [, , last] = points;
    const { lines } = await client.get<RunbookDto>(`/backups/${last?.backup.id}/runbook?to=${join(folder, 'broken')}`);
    await run('mv', [stage.lab.nasFile(stage.nas, middle?.backup.externalId ?? ''), join(folder, 'away')]);
    await expect(run('/bin/sh', ['-c', lines.join('\n')])).rejects.toMatchObject({
      stderr: expect.stringContaining(middle?.backup.externalId ?? '') as string,
    });
    expect(readdirSync(join(folder, 'broken'))).toEqual([]);
  });

  it('a directory that is none, a backup that is none', async () => {
    await expect(client.get(`/backups/${points[0]?.backup.id}/runbook?to=relative`)).rejects.toMatchObject({
      code: 'request.invalid',
    });
    await expect(client.get('/backups/none/runbook')).rejects.toMatchObject({ code: 'backup.not-found' });
  });
});
