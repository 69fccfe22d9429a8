import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import { Client } from '../../src/cli/client';
import type { ResizesDto } from '../../src/inventory/dto/resize.dto';
import { type Service, startService } from '../../src/main';
import { Stage } from '../story/stage';
import { isIdentical, takeBackup } from '../story/story';
import { runCli } from '../support/cli';
import { serviceConfig } from '../support/service-config';
import type { RealLab } from '../lab/lab';

const MIB = 1024 * 1024;

/** A disk that shrank and grew back is as large as before, and its bitmap knows nothing of it: only who did it can tell. */
describe('a disk that was resized', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-resizes-'));
  let stage: Stage;
  let lab: RealLab;
  let service: Service;
  let client: Client;
  const size = 48 * MIB;

  beforeAll(async () => {
    stage = await Stage.open({ kind: 'real', folder, name: 'resize' });
    lab = stage.lab as RealLab;
    service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    client = new Client({ url: service.url });
    await stage.register(client, { dialect: 'seed', fullEvery: 10 });
    await lab.write(stage.vm, 'vdb', 0x31, 40 * MIB, 4 * MIB);
    await take('first');
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await stage?.close();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  /** The next backup, compared byte for byte with what the disks hold now. */
  async function take(moment: string): Promise<BackupWithEvidenceDto> {
    await lab.moment(stage.vm, moment);
    const backup = await takeBackup(client, stage.vm);
    expect(
      await isIdentical(
        stage.story(client, () => undefined),
        backup,
        moment,
      ),
    ).toBe(true);
    return backup;
  }
  const told = (...args: string[]) => runCli(['vm', 'resized', stage.vm, ...args], { CHAINKEEPER_URL: service.url });

  it('is a full when it shrank and grew back, as somebody told: no look could see that', async () => {
    await lab.diskResize(stage.vm, 'vdb', size / 2);
    await lab.diskResize(stage.vm, 'vdb', size);
    expect(await told('vdb', '--from', '48M', '--to', '24M')).toMatchObject({
      code: 0,
      out: 'vdb had 48.0 MiB and has 24.0 MiB\n',
    });
    await told('vdb', '--from', '24M', '--to', '48M');
    expect(await take('shrunk')).toMatchObject({ type: 'FULL', reason: 'disk-shrunk' });
    // Nothing was written since.
    expect(await take('after')).toMatchObject({ type: 'INCREMENTAL', reason: 'regular', assurance: 'accounted' });
  }, 120_000);

  it('goes on with an incremental when it grew, as somebody told; without a word it is a full', async () => {
    await lab.diskResize(stage.vm, 'vdb', 56 * MIB);
    await told('vdb', '--from', `${size}`, '--to', '56M');
    await lab.write(stage.vm, 'vdb', 0x32, 50 * MIB, MIB);
    expect(await take('grown')).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
    await lab.diskResize(stage.vm, 'vdb', 64 * MIB);
    expect(await take('untold')).toMatchObject({ type: 'FULL', reason: 'disk-resize-unknown' });
    const { items } = await client.get<ResizesDto>(`/vms/${stage.vm}/resizes`);
    expect(items.map(({ target, from, to }) => [target, from / MIB, to / MIB])).toEqual([
      ['vdb', 48, 24],
      ['vdb', 24, 48],
      ['vdb', 48, 56],
    ]);
  }, 120_000);

  it('must be one, and of another size', async () => {
    expect(await told('vdz', '--from', '1G', '--to', '2G')).toMatchObject({
      code: 10,
      err: expect.stringContaining('disk.not-found') as string,
    });
    expect(await told('vdb', '--from', '1G', '--to', '1G')).toMatchObject({
      code: 2,
      err: expect.stringContaining('disk.same-size') as string,
    });
    expect(await told('vdb', '--from', '1X', '--to', '1G')).toMatchObject({ code: 2 });
  });
});
