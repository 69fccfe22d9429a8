import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupWithEvidenceDto, ExplanationDto } from '../../src/backups/dto/backup.dto';
import { Client } from '../../src/cli/client';
import { type Service, startService } from '../../src/main';
import { Stage } from '../story/stage';
import { auditOf, isIdentical, takeBackup } from '../story/story';
import { leftovers } from '../support/leftovers';
import { serviceConfig } from '../support/service-config';

const KIB = 1024;
const MIB = 1024 * KIB;

/** What the customer was promised, through the whole service on a real host: larger than usual, and correct. */
describe('an offering that rescues', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-rescue-'));
  let stage: Stage;
  let service: Service;
  let client: Client;
  const taken: { backup: BackupWithEvidenceDto; label: string }[] = [];
  const take = async (): Promise<BackupWithEvidenceDto> => {
    const label = `point-${taken.length + 1}`;
    await stage.lab.moment(stage.vm, label);
    const backup = await takeBackup(client, stage.vm);
    taken.push({ backup, label });
    return backup;
  };

  beforeAll(async () => {
    stage = await Stage.open({ kind: 'real', folder, name: 'rescue' });
    service = await startService(serviceConfig({ kind: 'sqlite', path: join(folder, 'books.sqlite') }));
    client = new Client({ url: service.url });
    await stage.register(client, { dialect: 'seed', fullEvery: 10 });
    await client.send('PATCH', '/offerings/story', { onLostBitmap: 'rescue' });
  }, 120_000);
  afterAll(async () => {
    await service?.close();
    await stage?.close();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it('keeps the chain when a bitmap is lost, says what an empty one would have lost, and goes on as usual', async () => {
    const { lab, vm } = stage;
    await lab.write(vm, 'vda', 0x11, MIB, 4 * MIB);
    await lab.write(vm, 'vdb', 0x12, MIB, MIB);
    const full = await take();
    // Written before the loss: an empty bitmap would know nothing of it.
    await lab.write(vm, 'vda', 0x21, 2 * MIB, MIB);
    await lab.vmStop(vm);
    await lab.bitmapRemove(vm, 'vda', full.chain.bitmap ?? '');
    await lab.vmStart(vm);
    await lab.write(vm, 'vdb', 0x22, 3 * MIB, 64 * KIB);

    const rescued = await take();
    expect(rescued).toMatchObject({ type: 'INCREMENTAL', reason: 'rescued', assurance: 'accounted', restorable: true });
    expect(rescued.chain).toMatchObject({
      ...{ chainId: full.chain.chainId, position: 1, parentId: full.id },
      ...{ bitmapRecreated: full.chain.bitmap, recreateMethod: 'rescued' },
    });
    expect(rescued.disks).toMatchObject([
      { target: 'vda', method: 'rescued', ownData: MIB },
      { target: 'vdb', method: 'incremental', ownData: 64 * KIB },
    ]);
    const { size } = await client.get<ExplanationDto>(`/backups/${rescued.id}/explain`);
    expect(size.join('\n')).toMatch(/would have lost/);
    expect((await auditOf(client, vm)).get(rescued.id)).toMatchObject({ recreateMethod: 'rescued' });

    await lab.write(vm, 'vda', 0x31, 6 * MIB, 64 * KIB);
    expect(await take()).toMatchObject({ type: 'INCREMENTAL', reason: 'regular', assurance: 'accounted' });
    const same = await Promise.all(
      taken.map(({ backup, label }) =>
        isIdentical(
          stage.story(client, () => undefined),
          backup,
          label,
        ),
      ),
    );
    expect(same).toEqual([true, true, true]);
    // The run has succeeded once it is booked; the parent's bitmap is retired a moment later.
    const known = taken.flatMap(({ backup }) => backup.chain.bitmap ?? []);
    expect(await leftovers(lab, known)).toEqual([]);
  }, 120_000);
});
