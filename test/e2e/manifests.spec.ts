import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackupDto, BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import type { ChecksumsDto } from '../../src/backups/dto/checksums.dto';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { describeDatabases } from '../support/databases';
import type { FakeNas } from '../../src/hosts/fake/fake-nas';
import type { EventDto } from '../../src/events/dto/event.dto';
import { Brake, until } from '../support/brake';
import { FakeService } from '../support/fake-service';

/** What every backup says of itself on the NAS, from its run or made good later. */
describeDatabases('manifests', (databases) => {
  let service: FakeService;
  const texts = (name: string): Map<string, string> => {
    const [nas] = [...service.lab.host.nases.values()];
    const found = [...(nas?.files ?? [])].filter(([path]) => path.endsWith(`/${name}`));
    return new Map(found.map(([path, { bytes }]) => [path.slice(0, -name.length - 1), bytes?.toString() ?? '']));
  };
  const manifest = (externalId: string): unknown => JSON.parse(texts('manifest.json').get(externalId) ?? 'null');

  beforeEach(async () => {
    service = await FakeService.start(await databases.fresh());
  });
  afterEach(async () => {
    await service?.close();
  });

  it('a full and an incremental: all that the books know of them lies beside their files', async () => {
    await service.register();
    const full = await service.backup();
    const next = await service.backup();
    await until(() => texts('manifest.json').size === 2, 'both are described');
    const { body: shown } = await service.get(`/backups/${next.id}`);
    const { body: run } = await service.get(`/runs/${shown.runId}`);
    expect(manifest(next.externalId)).toEqual({
      v: 1,
      backup: next.id,
      vm: { id: next.vmId, name: service.vm },
      type: 'INCREMENTAL',
      reason: 'regular',
      chain: { id: full.chain.chainId, position: 1, parent: { backup: full.id, path: full.externalId } },
      bitmap: next.chain.bitmap,
      recreation: null,
      assuranceAtBirth: 'accounted',
      times: { began: run.started, ended: run.ended },
      host: service.lab.host.name,
      script: '1.0.0',
      service: '0.1.0',
      disks: (shown as BackupWithEvidenceDto).disks.map((disk, deviceId) => ({
        target: disk.target,
        deviceId,
        file: disk.file,
        size: disk.fileSize,
        virtualSize: disk.virtualSize,
        backing: disk.backing,
        source: disk.path,
      })),
      domainXml: 'domain-config.xml',
      written: expect.any(String),
    });
    expect(run.warnings).toEqual([]);
    expect(manifest(full.externalId)).toMatchObject({ type: 'FULL', chain: { position: 0, parent: null } });
  });

  it('where it could not be written the run says so, the backup is good, and the upkeep makes it good', async () => {
    await service.register();
    service.lab.host.faults.add({ kind: 'mount-failed', on: 'describe' });
    const backup = await service.backup();
    const { body: shown } = await service.get(`/backups/${backup.id}`);
    const run = async (): Promise<RunDto> => (await service.get(`/runs/${shown.runId}`)).body as RunDto;
    await until(async () => (await run()).warnings.length > 0, 'the run warns');
    expect((await run()).warnings).toEqual([expect.stringMatching(/^no manifest beside its files yet: .*Connection timed out/)]);
    expect([(await run()).state, texts('manifest.json').size]).toEqual(['succeeded', 0]);
    // The upkeep looks at the start.
    await service.restart();
    await until(() => texts('manifest.json').size === 1, 'it is made good');
    expect(manifest(backup.externalId)).toMatchObject({ backup: backup.id });
    // What is good is not asked for again.
    let asked = 0;
    service.onCommand = ({ argv }) => void (asked += argv.includes('describe') ? 1 : 0);
    await service.restart();
    await service.backup();
    await until(() => texts('manifest.json').size === 2, 'the next is described');
    expect(asked).toBe(1);
  });

  it('a stock script’s backup gets one by our script beside it, with what is not known left open', async () => {
    await service.registerStock('final', true);
    const backup = await service.backup();
    await until(() => texts('manifest.json').size === 1, 'it is described');
    expect(manifest(backup.externalId)).toMatchObject({
      backup: backup.id,
      script: null,
      assuranceAtBirth: 'unproven',
      disks: [{ target: 'vda', deviceId: 0, size: null }],
    });
  });

  it('without our script there is none, and the run says why', async () => {
    await service.registerStock('final', false);
    const backup = await service.backup();
    const { body: shown } = await service.get(`/backups/${backup.id}`);
    await until(async () => (await service.get(`/runs/${shown.runId}`)).body.warnings.length > 0, 'the run warns');
    const { warnings } = (await service.get(`/runs/${shown.runId}`)).body as RunDto;
    expect(warnings.at(-1)).toContain('No host is there that works and has our script');
    expect(texts('manifest.json').size).toBe(0);
  });

  it('goes with its backup when that is deleted', async () => {
    await service.register();
    await service.backup({ mode: 'full' });
    const second = await service.backup({ mode: 'full' });
    await until(() => texts('manifest.json').size === 2, 'both are described');
    const { body: deletion } = await service.call('DELETE', `/backups/${second.id}`);
    await service.ended(deletion.id);
    expect([...texts('manifest.json').keys()]).not.toContain(second.externalId);
  });

  describe('checksums', () => {
    const sums = async (id: string): Promise<ChecksumsDto> =>
      (await service.get(`/backups/${id}/checksums`)).body as ChecksumsDto;
    const read = async (id: string, query = ''): Promise<ChecksumsDto> => {
      const { status, body } = await service.post(`/backups/${id}/checksums${query}`, {});
      expect([status, (body as ChecksumsDto).backupId]).toEqual([202, id]);
      await until(async () => (await sums(id)).reading === null, 'its files are read');
      return sums(id);
    };
    const fileOf = (backup: BackupWithEvidenceDto, index: number): string =>
      service.lab.nasFile('nas1', `${backup.externalId}/${backup.disks[index]?.file}`);

    it('a flipped byte in a middle link breaks every point on it, and whoever repairs the file has them again', async () => {
      await service.register({ offering: { fullEvery: 10 } });
      const chain: BackupWithEvidenceDto[] = [];
      for (const pattern of [1, 2, 3]) {
        await service.lab.write(service.vm, 'vda', pattern, 0, 65536);
        chain.push((await service.backup()) as BackupWithEvidenceDto);
      }
      const [full, middle, top] = chain as [BackupWithEvidenceDto, BackupWithEvidenceDto, BackupWithEvidenceDto];
      expect(await sums(middle.id)).toMatchObject({ hashed: null, verified: null, damaged: [], reading: null, whyNot: null });
      expect((await service.post(`/backups/${middle.id}/checksums?verify=true`, {})).body).toMatchObject({
        code: 'checksums.none',
      });
      expect(await read(middle.id)).toMatchObject({ hashed: expect.any(String), verified: null, damaged: [] });
      expect(texts('checksums.json').has(middle.externalId ?? '')).toBe(true);
      await service.lab.flip(fileOf(middle, 0));
      expect(await read(middle.id, '?verify=true')).toMatchObject({
        verified: expect.any(String),
        damaged: [middle.disks[0]?.file],
      });
      const worth = async (): Promise<unknown[]> =>
        Promise.all(
          chain.map(async ({ id }) => {
            const { restorable, assurance } = (await service.get(`/backups/${id}`)).body as BackupWithEvidenceDto;
            return [restorable, assurance];
          }),
        );
      expect(await worth()).toEqual([
        [true, 'accounted'],
        [false, 'broken'],
        [false, 'broken'],
      ]);
      expect((await service.get(`/backups/${middle.id}/explain`)).text).toContain('iles are not what they were');
      // Nothing is built on what is broken.
      const next = (await service.backup()) as BackupWithEvidenceDto;
      expect([next.type, next.chain.position, next.reason]).toEqual(['FULL', 0, 'parent-unproven']);
      await service.lab.flip(fileOf(middle, 0));
      expect(await read(middle.id, '?verify=true')).toMatchObject({ damaged: [] });
      expect(await worth()).toEqual(chain.map(() => [true, 'accounted']));
      expect([full, top].map(({ type }) => type)).toEqual(['FULL', 'INCREMENTAL']);
    });

    describe('what nobody has asked for is met on the way', () => {
      let chain: BackupWithEvidenceDto[];
      let nas: FakeNas;
      beforeEach(async () => {
        await service.register({ offering: { fullEvery: 10 } });
        chain = [];
        for (const pattern of [1, 2, 3]) {
          await service.lab.write(service.vm, 'vda', pattern, 0, 65536);
          chain.push((await service.backup()) as BackupWithEvidenceDto);
        }
        await until(() => texts('manifest.json').size === 3, 'all are described');
        nas = [...service.lab.host.nases.values()][0] as FakeNas;
      });
      const restore = async (): Promise<string | null> => {
        const { status, body } = await service.post('/restores', { backup: chain[2]?.id, way: 'new-disks', to: '/fake/images' });
        return status === 202 ? ((await service.ended(body.id as string)).errorCode as string | null) : (body.code as string);
      };
      const worth = async (): Promise<unknown[]> =>
        Promise.all(
          chain.map(async ({ id }) => {
            const { restorable, assurance } = (await service.get(`/backups/${id}`)).body as BackupWithEvidenceDto;
            return [restorable, assurance];
          }),
        );
      const told = async (): Promise<string[]> =>
        ((await service.get('/events?kind=spoilt')).body.items as EventDto[]).map(({ message }) => message);
      const SOUND = [true, 'accounted'];
      const SPOILT = [false, 'broken'];
      /** Takes them away; what it answers brings them back. */
      const take = (wanted: (path: string) => boolean): (() => void) => {
        const [files, folders] = [[...nas.files].filter(([path]) => wanted(path)), [...nas.folders].filter(wanted)];
        for (const [path] of files) nas.files.delete(path);
        for (const path of folders) nas.folders.delete(path);
        return () => {
          for (const [path, file] of files) nas.files.set(path, file);
          for (const path of folders) nas.folders.add(path);
        };
      };

      it('a restore finds a byte of a link that is not what it was: no point on it is vouched for, until it is compared again', async () => {
        const [, middle] = chain as [BackupWithEvidenceDto, BackupWithEvidenceDto];
        await read(middle.id);
        await service.lab.flip(fileOf(middle, 0));
        expect(await restore()).toBe('checksum-mismatch');
        expect(await worth()).toEqual([SOUND, SPOILT, SPOILT]);
        expect(await sums(middle.id)).toMatchObject({ damaged: [middle.disks[0]?.file], missing: [] });
        expect(await told()).toEqual([expect.stringContaining(`Of backup ${middle.id} ${middle.disks[0]?.file} changed`)]);
        expect(await restore()).toBe('restore.broken');
        await service.lab.flip(fileOf(middle, 0));
        await read(middle.id, '?verify=true');
        expect(await worth()).toEqual([SOUND, SOUND, SOUND]);
        expect(await restore()).toBeNull();
      });

      it('a restore finds a file of a link gone, and whoever brings it back has the points again', async () => {
        const [, middle] = chain as [BackupWithEvidenceDto, BackupWithEvidenceDto];
        const bringBack = take((path) => path === `${middle.externalId}/${middle.disks[0]?.file}`);
        expect(await restore()).toBe('chain-missing');
        expect(await worth()).toEqual([SOUND, SPOILT, SPOILT]);
        expect(await sums(middle.id)).toMatchObject({ damaged: [], missing: [middle.disks[0]?.file] });
        expect((await service.get(`/backups/${middle.id}/explain`)).text).toContain('iles are not there any more');
        expect(await restore()).toBe('restore.not-restorable');
        // Who reads what is left does not find it either.
        expect(await read(middle.id)).toMatchObject({ hashed: expect.any(String), missing: [middle.disks[0]?.file] });
        expect(await told()).toHaveLength(1);
        bringBack();
        expect(await read(middle.id, '?verify=true')).toMatchObject({ damaged: [], missing: [] });
        expect(await worth()).toEqual([SOUND, SOUND, SOUND]);
        expect(await restore()).toBeNull();
      });

      it('whoever is to hash a backup finds its directory gone', async () => {
        const [, middle] = chain as [BackupWithEvidenceDto, BackupWithEvidenceDto];
        const bringBack = take((path) => `${path}/`.startsWith(`${middle.externalId}/`));
        const files = middle.disks.map(({ file }) => file);
        expect(await read(middle.id)).toMatchObject({
          hashed: null,
          missing: files,
          whyNot: expect.stringContaining('not on the NAS'),
        });
        await read(middle.id);
        expect(await worth()).toEqual([SOUND, SPOILT, SPOILT]);
        expect(await told()).toEqual([expect.stringContaining(`Of backup ${middle.id} ${files.join(', ')} is gone`)]);
        bringBack();
        expect(await read(middle.id)).toMatchObject({ missing: [], whyNot: null });
        expect(await worth()).toEqual([SOUND, SOUND, SOUND]);
      });

      it('a repository that is not mounted says nothing of any file in it', async () => {
        const bringBack = take(() => true);
        expect(await restore()).toBe('chain-missing');
        expect(await read(chain[1]?.id ?? '')).toMatchObject({ missing: [], whyNot: expect.stringContaining('No such file') });
        expect([await worth(), await told()]).toEqual([[SOUND, SOUND, SOUND], []]);
        bringBack();
        expect(await restore()).toBeNull();
      });
    });

    it('the upkeep takes those that are missing, those first that were never tried', async () => {
      await service.close();
      service = await FakeService.start(await databases.fresh(), { CHAINKEEPER_CHECKSUMS_PER_TURN: '1' });
      await service.register();
      const [first, second] = [await service.backup(), await service.backup()] as [BackupDto, BackupDto];
      await until(() => texts('manifest.json').size === 2, 'both are described');
      service.lab.host.faults.add({ kind: 'mount-failed', on: 'checksum' });
      await service.restart();
      await until(async () => (await sums(first.id)).whyNot !== null, 'the first has failed');
      expect(await sums(first.id)).toMatchObject({ hashed: null, whyNot: expect.stringContaining('Connection timed out') });
      // One a turn, and first whoever was never tried.
      await service.restart();
      await until(async () => (await sums(second.id)).hashed !== null, 'the second is read');
      expect((await sums(first.id)).hashed).toBeNull();
      await service.restart();
      await until(async () => (await sums(first.id)).hashed !== null, 'the first is read');
    });

    it('the upkeep leaves a repository in maintenance alone, and makes good afterwards what it left', async () => {
      const copies = mkdtempSync(join(tmpdir(), 'ck-copies-'));
      await service.close();
      service = await FakeService.start(await databases.fresh(), {
        ...{ CHAINKEEPER_CHECKSUMS_PER_TURN: '10', CHAINKEEPER_BOOKS_COPY_HOURS: '1000', CHAINKEEPER_BOOKS_COPIES: copies },
      });
      // Newest first: when somebody has looked at this one, the other was passed over.
      await service.post('/repositories', { name: 'older', type: 'dir', address: await service.lab.nas('nas0') });
      await service.register();
      const { id } = (await service.backup()) as BackupDto;
      await until(async () => (await sums(id)).manifest !== null, 'it is described');
      await service.call('PUT', '/repositories/nas1/maintenance', { body: { by: 'alice', why: 'new disks' } });
      const address = await service.lab.nas('nas1');
      /** Restarts it, and answers which operations its upkeep began there and elsewhere. */
      const turn = async (): Promise<{ there: Set<string>; elsewhere: Set<string> }> => {
        const heard = { there: new Set<string>(), elsewhere: new Set<string>() };
        const { url } = service;
        service.onCommand = ({ argv }) => {
          const operation = ['checksum', 'keep', 'stats', 'describe'].find((word) => argv.includes(word));
          if (operation === undefined || service.url === url) return;
          heard[argv.join(' ').includes(address) ? 'there' : 'elsewhere'].add(operation);
        };
        await service.restart();
        await until(() => heard.elsewhere.has('stats'), 'the upkeep was there');
        return heard;
      };
      const { there, elsewhere } = await turn();
      expect([[...there], [...elsewhere]]).toEqual([[], ['keep', 'stats']]);
      await service.call('DELETE', '/repositories/nas1/maintenance');
      const heard = await turn();
      await until(async () => (await sums(id)).hashed !== null, 'its files are read');
      await until(() => heard.there.size === 3, 'the rest is done too');
      rmSync(copies, { recursive: true });
    });

    it('reading them ends when a maintenance begins that is to abort what goes on', async () => {
      await service.register();
      const { id } = (await service.backup()) as BackupDto;
      const brake = new Brake(service.lab.host);
      await service.post(`/backups/${id}/checksums`, {});
      const maintenance = { by: 'alice', why: 'new disks' };
      const begin = async (running: string): Promise<unknown> =>
        (await service.call('PUT', '/repositories/nas1/maintenance', { body: { ...maintenance, running } })).body.reading;
      await until(() => [...service.lab.host.jobs.values()].some(({ state }) => state === 'running'), 'the job goes on');
      expect(await begin('finish')).toBe(1);
      expect(await begin('abort')).toBe(1);
      await until(async () => (await sums(id)).reading === null, 'it has ended');
      expect(await sums(id)).toMatchObject({ hashed: null, whyNot: expect.any(String) });
      brake.release();
    });

    it('what nobody saw the end of is followed by whoever looks next', async () => {
      await service.register();
      const { id } = (await service.backup()) as BackupDto;
      service.lab.host.faults.add({ kind: 'unreachable', on: 'start' });
      expect((await service.post(`/backups/${id}/checksums`, {})).status).toBe(202);
      await until(() => service.lines.some((line) => line.includes('is left to the next turn')), 'nobody could ask');
      expect(await sums(id)).toMatchObject({ reading: 'hash', hashed: null });
      expect((await service.post(`/backups/${id}/checksums?verify=true`, {})).body).toMatchObject({ code: 'checksums.none' });
      await service.restart();
      await until(async () => (await sums(id)).hashed !== null, 'its files are read');
      expect(await sums(id)).toMatchObject({ reading: null });
    });
  });
});
