import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../src/cli/client';
import { Runs } from '../../src/database/repositories/runs';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { type Service, startService } from '../../src/main';
import { Stage } from '../story/stage';
import { isIdentical, takeBackup, waitForRun } from '../story/story';
import { describeDatabases } from '../support/databases';
import { startScript } from '../support/node-script';
import { leftovers } from '../support/leftovers';
import { environmentOf, serviceConfig } from '../support/service-config';
import { FULL } from '../support/thorough';

const MIB = 1024 * 1024;

describeDatabases(
  'an orchestrator killed between the success of the script and the books',
  (databases) => {
    it('leaves a run that the next one adopts: no byte lost, nothing run twice, no needless full', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-killed-'));
      const stage = await Stage.open({ kind: 'real', folder, name: `killed${databases.kind}` });
      let service: Service | undefined;
      try {
        const books = await databases.fresh();
        const lease = { CHAINKEEPER_LEASE_SECONDS: '3' };
        service = await startService(serviceConfig(books, { ...lease, CHAINKEEPER_OWNER: 'first' }));
        let client = new Client({ url: service.url });
        const say = (): void => undefined;
        await stage.register(client, { dialect: 'seed', fullEvery: 10 });
        await stage.lab.write(stage.vm, 'vda', 0x11, 0, 2 * MIB);
        await stage.lab.write(stage.vm, 'vdb', 0x12, MIB, MIB);
        await stage.lab.moment(stage.vm, 'full');
        const full = await takeBackup(client, stage.vm);
        await service.close();
        service = undefined;

        await stage.lab.write(stage.vm, 'vda', 0x21, MIB, 2 * MIB);
        await stage.lab.moment(stage.vm, 'killed');
        const doomed = startScript(
          'test/e2e/child/die-when-done.ts',
          null,
          environmentOf(books, { ...lease, CHAINKEEPER_OWNER: 'second' }),
        );
        const doomedClient = new Client({ url: await doomed.line('http') });
        const { body: queued } = await doomedClient.send<RunDto>('POST', '/backups', { vm: stage.vm });
        expect((await doomed.end()).code).toBeNull();

        // From the books: a service that takes long to start adopts the run before it answers.
        const { work } = await databases.reopen(books);
        const before = await new Runs(work).find(queued.id);
        expect(before).toMatchObject({ state: 'running', backupId: null });

        service = await startService(serviceConfig(books, { ...lease, CHAINKEEPER_OWNER: 'third' }));
        client = new Client({ url: service.url });
        const run = await waitForRun(client, queued.id, 30);
        expect(run).toMatchObject({ state: 'succeeded', plannedKind: 'incremental', reason: 'regular', exitCode: 0 });

        await stage.lab.write(stage.vm, 'vdb', 0x31, 3 * MIB, MIB);
        await stage.lab.moment(stage.vm, 'next');
        const next = await takeBackup(client, stage.vm);
        const { items } = await client.get<{ items: { id: string }[] }>(`/backups?vm=${stage.vm}`);
        expect(items.map(({ id }) => id)).toEqual([next.id, run.backupId, full.id]);
        expect(next).toMatchObject({ type: 'INCREMENTAL', reason: 'regular', assurance: 'accounted' });
        expect(next.chain).toMatchObject({ position: 2, chainId: full.chain.chainId, parentId: run.backupId });

        const adopted = await client.get<typeof full>(`/backups/${run.backupId}`);
        const story = stage.story(client, say);
        expect(await isIdentical(story, full, 'full')).toBe(true);
        expect(await isIdentical(story, adopted, 'killed')).toBe(true);
        expect(await isIdentical(story, next, 'next')).toBe(true);
        expect(await leftovers(stage.lab, [next.chain.bitmap ?? ''])).toEqual([]);
      } finally {
        await service?.close();
        await stage.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }, 400_000);
  },
  FULL ? undefined : ['mariadb'],
);
