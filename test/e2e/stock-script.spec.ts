import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import { Client } from '../../src/cli/client';
import type { Dialect } from '../../src/domain/agent/facts';
import { type Service, startService } from '../../src/main';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { RealLab } from '../lab/lab';
import { auditOf, takeBackup, waitForRun } from '../story/story';
import { serviceConfig } from '../support/service-config';

const MIB = 1024 * 1024;
const VM = 'i-2-40-stock-VM';

/** Stand-ins of CloudStack's scripts on real libvirt, over real SSH, with nothing of ours on the host but where it says so. */
describe('a stock script on a real host', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-stock-'));
  const lab = new RealLab(join(folder, 'lab'), 'ck-stock');
  let service: Service;
  let client: Client;
  let scripts = '';
  let serial = 0;

  beforeAll(async () => {
    chmodSync(folder, 0o711);
    await lab.up();
    scripts = (await lab.verb('stock-install')).trim();
    await lab.vmCreate(VM, [{ target: 'vda', size: 64 * MIB }]);
    await lab.vmStart(VM);
    service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    client = new Client({ url: service.url });
    const { name, address, port, user, privateKeyFile, fingerprint, scriptPath } = await lab.access();
    const access = { address, port, user, privateKeyFile, fingerprint, scriptPath };
    await client.send('POST', '/hosts', { name, ...access, script: 'stock', stockPath: `${scripts}/seed.sh`, dialect: 'seed' });
    await client.send('POST', '/repositories', { name: 'nas', type: 'dir', address: await lab.nas('nas') });
    await client.send('POST', '/offerings', { name: 'daily', repository: 'nas', fullEvery: 20 });
    const disks = (await lab.vmDisks(VM)).map(({ target, path }) => ({ target, path }));
    await client.send('POST', '/vms', { name: VM, host: name, disks });
    await client.send('PUT', `/vms/${VM}/offering`, { offering: 'daily' });
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await lab.down();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  const speak = (dialect: Dialect, beside: boolean, script: string = dialect): Promise<unknown> =>
    client.send('PATCH', '/hosts/ck-stock', { dialect, stockPath: `${scripts}/${script}.sh`, beside });
  const restart = async (): Promise<void> => {
    await lab.vmStop(VM);
    await lab.vmStart(VM);
  };
  const lose = async (bitmap: string): Promise<void> => {
    await lab.vmStop(VM);
    await lab.bitmapRemove(VM, 'vda', bitmap);
    await lab.vmStart(VM);
  };

  interface Point {
    readonly backup: BackupWithEvidenceDto;
    readonly words: string;
    readonly identical: boolean;
  }
  const isIdentical = async ({ externalId, disks }: BackupWithEvidenceDto): Promise<boolean> =>
    lab.same(VM, `point-${serial}`, 'vda', lab.nasFile('nas', `${externalId}/${disks[0]?.file}`));
  /** The guest writes, a backup is taken, and the point is compared with what the disk held. */
  const take = async (between: () => Promise<void> = async () => undefined): Promise<Point> => {
    serial += 1;
    await lab.write(VM, 'vda', 0x10 + serial, serial * MIB, MIB);
    await between();
    await lab.moment(VM, `point-${serial}`);
    const backup = await takeBackup(client, VM);
    return { backup, words: `${backup.type} ${backup.reason} ${backup.assurance}`, identical: await isIdentical(backup) };
  };
  const explained = async (id: string): Promise<string> => {
    const { why, evidence } = await client.get<{ why: string[]; evidence: string[] }>(`/backups/${id}/explain`);
    return [...why, ...evidence].join('\n');
  };

  it('seed: builds on its own, recreates a lost bitmap blank, and the hole is called by its name', async () => {
    const full = await take();
    const next = await take();
    expect([full, next].map(({ words, identical }) => [words, identical])).toEqual([
      ['FULL no-parent unproven', true],
      ['INCREMENTAL regular unproven', true],
    ]);
    const lost = next.backup.chain.bitmap ?? '';
    const hole = await take(() => lose(lost));
    expect([hole.words, hole.identical]).toEqual(['INCREMENTAL regular unproven', false]);
    expect(hole.backup.chain).toMatchObject({ bitmapRecreated: lost, recreateMethod: 'unknown' });
    expect(await explained(hole.backup.id)).toMatch(/leaves a hole/);
    expect((await auditOf(client, VM)).get(hole.backup.id)).toMatchObject({ recreated: lost, recreateMethod: 'unknown' });

    const after = await take();
    expect([after.words, after.identical]).toEqual(['FULL parent-unproven unproven', true]);
  }, 180_000);

  it('seed: where the offering asks for it, the next backup comes by itself and holds what the hole lacks', async () => {
    await client.send('PATCH', '/offerings/daily', { afterRecreation: 'at-once' });
    const full = await take();
    const hole = await take(() => lose(full.backup.chain.bitmap ?? ''));
    expect([full.identical, hole.identical]).toEqual([true, false]);
    const { items } = await client.get<{ items: RunDto[] }>(`/runs?vm=${VM}`);
    const [next] = items;
    expect(next).toMatchObject({ trigger: 'service', cause: expect.stringContaining(`Backup ${hole.backup.id} is unproven`) });
    const { backupId } = await waitForRun(client, next?.id ?? '');
    const backup = await client.get<BackupWithEvidenceDto>(`/backups/${backupId}`);
    expect([backup.type, backup.reason, await isIdentical(backup)]).toEqual(['FULL', 'parent-unproven', true]);
    await client.send('PATCH', '/offerings/daily', { afterRecreation: 'next' });
  }, 180_000);

  it('seed: where the bitmap outlived a restart the same run is dispatched again as a full', async () => {
    const again = await take(restart);
    expect([again.words, again.identical]).toEqual(['FULL bitmap-unconfirmed unproven', true]);
    const run = await waitForRun(client, again.backup.runId ?? '');
    expect(run.warnings.join('\n')).toMatch(/first dispatched as incremental, exit 1: recreate-failed/);
  }, 180_000);

  it('seed, ours beside it: a bitmap that was lost behind our back makes the backup broken', async () => {
    await speak('seed', true);
    // Of the parent nobody had looked at the disk.
    expect((await take()).words).toBe('FULL disk-resize-unknown unproven');
    // Between our look and the script the VM is stopped, loses its bitmaps and is started again.
    const [disk] = await lab.vmDisks(VM);
    const unlucky = `#!/bin/bash
virsh -q destroy ${VM} >/dev/null
for bitmap in $(qemu-img info --output=json ${disk?.path} | jq -r '."format-specific".data.bitmaps[].name'); do
  qemu-img bitmap --remove ${disk?.path} "$bitmap"
done
virsh -q create ${lab.folder}/run/${VM}.xml >/dev/null
exec ${scripts}/seed.sh "$@"
`;
    writeFileSync(`${scripts}/unlucky.sh`, unlucky, { mode: 0o755 });
    await speak('seed', true, 'unlucky');
    const hole = await take();
    expect([hole.words, hole.identical]).toEqual(['INCREMENTAL regular broken', false]);
    expect(await explained(hole.backup.id)).toMatch(/fell from \d+ to 0 dirty bytes/);
    await speak('seed', true);
    const after = await take();
    expect([after.words, after.identical]).toEqual(['FULL parent-unproven unproven', true]);
  }, 180_000);

  it('final, ours beside it: a bitmap is a parent once it was seen, after a restart and of a stopped VM too', async () => {
    await speak('final', true);
    const points = [await take(), await take(restart), await take(() => lab.vmStop(VM)), await take(() => lab.vmStart(VM))];
    expect(points.map(({ words, identical }) => [words, identical])).toEqual([
      ['INCREMENTAL regular unproven', true],
      ['INCREMENTAL redefined unproven', true],
      ['FULL vm-stopped unproven', true],
      ['INCREMENTAL redefined unproven', true],
    ]);
  }, 180_000);

  it('final, mid and legacy with nothing of ours: never build on what nobody saw', async () => {
    await speak('final', false);
    expect((await take()).words).toBe('INCREMENTAL regular unproven');
    expect((await take()).words).toBe('FULL bitmap-unconfirmed unproven');
    await speak('mid', false);
    const points = [await take(), await take(), await take(restart)];
    expect(points.map(({ words, identical }) => [words, identical])).toEqual([
      ['FULL bitmap-unconfirmed unproven', true],
      ['INCREMENTAL regular unproven', true],
      ['FULL bitmap-unconfirmed unproven', true],
    ]);
    await speak('legacy', false);
    const whole = await take();
    expect([whole.words, whole.identical]).toEqual(['FULL script-unsupported unproven', true]);
  }, 180_000);

  it('loses nothing when the connection is lost in the middle', async () => {
    const { body: queued } = await client.send<RunDto>('POST', '/backups', { vm: VM });
    for (let state = ''; state !== 'running'; state = (await client.get<RunDto>(`/runs/${queued.id}`)).state);
    await lab.dropConnections();
    expect(await waitForRun(client, queued.id)).toMatchObject({ state: 'succeeded', exitCode: 0 });
  }, 180_000);
});
