import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import type { ChecksumsDto } from '../../src/backups/dto/checksums.dto';
import type { RunbookDto } from '../../src/backups/dto/runbook.dto';
import { Client } from '../../src/cli/client';
import { type Service, startService } from '../../src/main';
import { Stage } from '../story/stage';
import { takeBackup } from '../story/story';
import { until } from '../support/brake';
import { leftovers } from '../support/leftovers';
import { serviceConfig } from '../support/service-config';

const run = promisify(execFile);
const MIB = 1024 * 1024;

const PAGE = readFileSync(join(__dirname, '../../docs/restore-by-hand.md'), 'utf8');
/** Its commands, block by block. */
const BLOCKS = [...PAGE.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = 'false']) => block);

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
        // Once it is stopped its images are the service's, which retires a bitmap after a run.
        expect(await leftovers(stage.lab, [points.at(-1)?.backup.chain.bitmap ?? ''])).toEqual([]);
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

  it('the commands of the page make a running VM of every point, without the books', async () => {
    for (const { backup, moment } of points) {
      const { to, stdout } = await byThePage(moment, backup.externalId);
      // Nobody has taken checksums yet, of none of the links.
      expect(stdout.match(/nobody has taken checksums/g)).toHaveLength(backup.chain.position! + 1);
      const files = new Map(backup.disks.map(({ target, file }) => [target, join(to, file ?? '')]));
      await holdsWhatItHeld(`by-hand-${moment}`, moment, files);
    }
  }, 120_000);

  it('the printed runbook does, into a directory whose name is no plain word', async () => {
    for (const { backup, moment } of points) {
      const to = join(folder, `<${moment}> & it's | "a" VM`);
      const query = new URLSearchParams({ to, newName: `printed-${moment}` });
      const { lines } = await client.get<RunbookDto>(`/backups/${backup.id}/runbook?${query.toString()}`);
      await run('/bin/sh', ['-c', lines.join('\n')]);
      const files = new Map(['vda', 'vdb'].map((target) => [target, join(to, `${target}.qcow2`)]));
      await holdsWhatItHeld(`printed-${moment}`, moment, files);
      // The page says the same of the definition.
      const [, rewrite = '-'] = /<<'END'\n([\s\S]*?)\ns\|\^  <name>/.exec(lines.join('\n')) ?? [];
      expect(PAGE).toContain(`<<'END'\n${rewrite}\nEND\n`);
    }
  }, 120_000);

  it('a definition as CloudStack writes it: nothing of the old VM or its host is left, and libvirt takes it', async () => {
    const to = join(folder, 'cloudstack');
    mkdirSync(to);
    copyFileSync(join(__dirname, '../support/cloudstack-domain.xml'), join(to, 'domain-config.xml'));
    for (const file of ['root.5f1d0c3a-image', 'datadisk.77aa-image'])
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(to, `${file}.qcow2`), '1M']);
    const rewrite = BLOCKS.find((block) => block.includes('vm.sed')) ?? 'false';
    const env = { ...process.env, TO: to, NAME: 'by-hand-cloudstack' };
    const edit = () => run('/bin/sh', ['-c', `set -eu\n${rewrite}`], { env });
    // A third disk was not backed up: the new VM would write to that of the old one.
    await expect(edit()).rejects.toMatchObject({ stdout: expect.stringContaining('left-out-image') as string });
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(to, 'datadisk.left-out-image.qcow2'), '1M']);
    await edit();
    const xml = readFileSync(join(to, 'vm.xml'), 'utf8');
    expect(xml).not.toMatch(/OLD|i-2-7-VM|5d2a1c52|02:00:|cloudbr0|<nvram|<hostdev|<seclabel|<emulator|\.iso|rbd|backingStore/);
    await run('virsh', ['define', join(to, 'vm.xml')]);
    const { stdout } = await run('virsh', ['dumpxml', 'by-hand-cloudstack']);
    await run('virsh', ['undefine', 'by-hand-cloudstack', '--nvram']);
    const disks = [...stdout.matchAll(/<disk type='(.*?)' device='(.*?)'[^]*?type='(.*?)'[^]*?<target dev='(.*?)'/g)];
    expect(disks.map(([, ...said]) => said.join(' '))).toEqual([
      'file disk qcow2 vda',
      'file disk qcow2 vdb',
      'file disk qcow2 sda',
      'file cdrom raw hdc',
    ]);
    expect(stdout).toContain('<serial>5f1d0c3a0000</serial>');
    expect(stdout).toContain('org.qemu.guest_agent.0');
  }, 60_000);

  it('checksums: a good chain passes, and a flipped byte of a link under the point is told, by page and runbook', async () => {
    const [first, , last] = points;
    if (first === undefined || last === undefined) throw new Error('there are points');
    for (const { backup } of points) {
      await client.send('POST', `/backups/${backup.id}/checksums`, {});
      await until(
        async () => (await client.get<ChecksumsDto>(`/backups/${backup.id}/checksums`)).reading === null,
        'its files were read',
      );
    }
    const { stdout } = await byThePage('checked', last.backup.externalId);
    await stopped('by-hand-checked');
    expect(stdout).not.toContain('nobody has taken checksums');
    expect(stdout.match(/^(root|datadisk)\..*: OK$/gm)).toHaveLength(2 * (last.backup.chain.position! + 1));
    const { lines } = await client.get<RunbookDto>(`/backups/${last.backup.id}/runbook?to=${join(folder, 'checked')}`);
    const printed = await run('/bin/sh', ['-c', lines.join('\n')]);
    expect(printed.stdout.match(/^(root|datadisk)\..*: OK$/gm)).toHaveLength(2 * (last.backup.chain.position! + 1));

    const file = first.backup.disks[0]?.file ?? '';
    const spoilt = stage.lab.nasFile(stage.nas, `${first.backup.externalId}/${file}`);
    await stage.lab.flip(spoilt);
    const told = { stdout: expect.stringMatching(new RegExp(`^${file}: FAILED$`, 'm')) as string };
    await expect(byThePage('flipped', last.backup.externalId)).rejects.toMatchObject(told);
    rmSync(join(folder, 'checked'), { recursive: true });
    await expect(run('/bin/sh', ['-c', lines.join('\n')])).rejects.toMatchObject(told);
    expect(readdirSync(join(folder, 'checked'))).toEqual([]);
    await stage.lab.flip(spoilt);
  }, 120_000);

  /** All blocks of the page, in order and in one shell. */
  async function byThePage(what: string, point: string | null): Promise<{ to: string; stdout: string }> {
    const to = join(folder, `page-${what}`);
    mkdirSync(to);
    const vars = { SOURCE: `--bind ${await stage.lab.nas(stage.nas)}`, POINT: point ?? '', TO: to, NAME: `by-hand-${what}` };
    // What it has mounted when it fails is somebody's who looks on; here nobody does.
    const quiet = 'trap \'[ ! -d "$mnt" ] || { umount "$mnt"; rmdir "$mnt"; }\' EXIT\n';
    return { to, ...(await run('/bin/sh', ['-c', quiet + BLOCKS.join('')], { env: { ...process.env, ...vars } })) };
  }

  /** A running VM's disks are these files, and hold what the disks held at the moment; then it is stopped and forgotten. */
  async function holdsWhatItHeld(name: string, moment: string, files: ReadonlyMap<string, string>): Promise<void> {
    expect((await run('virsh', ['domstate', name])).stdout.trim()).toBe('running');
    const uuids = await Promise.all([name, stage.vm].map(async (of) => (await run('virsh', ['domuuid', of])).stdout.trim()));
    expect(new Set(uuids).size).toBe(2);
    const { stdout } = await run('virsh', ['-q', 'domblklist', name]);
    for (const [target, file] of files) {
      expect(stdout).toMatch(new RegExp(`^ *${target} +${file.replace(/[|]/g, '\\$&')}$`, 'm'));
      const held = join(folder, 'lab/mirror', `${stage.vm}.${target}@${moment}.raw`);
      await run('qemu-img', ['compare', '-U', '-f', 'raw', '-F', 'qcow2', held, file]);
    }
    await stopped(name);
    for (const [target, file] of files)
      expect([moment, target, await stage.lab.same(stage.vm, moment, target, file)]).toEqual([moment, target, true]);
  }

  async function stopped(name: string): Promise<void> {
    await run('virsh', ['destroy', name]);
    await run('virsh', ['undefine', name]);
  }

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
    await expect(client.get(`/backups/${points[0]?.backup.id}/runbook?newName=a%27b`)).rejects.toMatchObject({
      code: 'name.vm',
    });
    await expect(client.get('/backups/none/runbook')).rejects.toMatchObject({ code: 'backup.not-found' });
  });
});
