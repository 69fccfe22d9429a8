import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RestoreDto } from '../../src/restores/dto/restore.dto';
import { until } from '../support/brake';
import { type CliEnd, runCli } from '../support/cli';
import { describeDatabases } from '../support/databases';
import { FakeService, type HttpAnswer } from '../support/fake-service';
import { FULL } from '../support/thorough';

jest.setTimeout(180_000);

const KIB = 1024;
const FOLDER = '/fake/images';
const BY = { by: 'ops', why: 'the array is on fire' };

/** Every way of a restore, as a client meets it; the fake host stands in for a hypervisor. Bytes on a real one: restores-real.spec.ts. */
describeDatabases(
  'restoring',
  (databases) => {
    let service: FakeService;
    let serial = 0;
    beforeEach(async () => {
      service = await FakeService.start(await databases.fresh(), { CHAINKEEPER_LEASE_SECONDS: '3' });
      await service.register({ offering: { fullEvery: 10 } });
    });
    afterEach(() => service?.close());

    interface Taken {
      readonly id: string;
      readonly moment: string;
    }
    /** A backup of what the disks hold now. */
    const take = async (): Promise<Taken> => {
      serial += 1;
      await service.lab.write(service.vm, 'vda', serial, serial * 64 * KIB, 64 * KIB);
      await service.lab.write(service.vm, 'vdb', 0x80 + serial, 512, 512);
      await service.lab.moment(service.vm, `point-${serial}`);
      return { id: ((await service.backup()) as { id: string }).id, moment: `point-${serial}` };
    };
    const ask = (body: object, query = '', headers = {}): Promise<HttpAnswer> => service.post(`/restores${query}`, body, headers);
    const dry = (body: object): Promise<HttpAnswer> => ask(body, '?dryRun=true');
    const begun = async (body: object): Promise<string> => {
      const answer = await ask(body);
      if (answer.status !== 202) throw new Error(answer.text);
      expect(answer.headers.get('location')).toBe(`/api/v1/runs/${answer.body.id}`);
      return answer.body.id as string;
    };
    const shown = async (id: string): Promise<RestoreDto> => (await service.get(`/restores/${id}`)).body as RestoreDto;
    const restore = async (body: object): Promise<RestoreDto> => {
      const id = await begun(body);
      await service.ended(id);
      return shown(id);
    };
    const volumes = async (): Promise<string[]> => (await service.lab.vmDisks(service.vm)).map(({ path }) => path);
    const holds = async (moment: string, paths: readonly string[]): Promise<boolean[]> =>
      Promise.all(['vda', 'vdb'].map((target, index) => service.lab.same(service.vm, moment, target, paths[index] ?? '')));
    const anew = (name = service.vm): string[] => ['vda', 'vdb'].map((target) => `${FOLDER}/${name}-${target}.qcow2`);
    const listed = async (query = ''): Promise<string[]> =>
      ((await service.get(`/restores?${query}`)).body.items as RestoreDto[]).map(({ id }) => id);

    it('as new disks: said before, kept after, compared', async () => {
      const [full, point] = [await take(), await take()];
      await take();
      const plan = await dry({ backup: point.id, way: 'new-disks', to: FOLDER });
      expect([plan.status, plan.body]).toEqual([
        200,
        expect.objectContaining({
          ...{ assurance: 'accounted', sentence: expect.stringMatching(/\S/) as string, accepted: null, host: 'kvm1' },
          disks: [
            expect.objectContaining({ target: 'vda', deviceId: 0, to: anew()[0], virtualSize: 4 * 1024 * KIB }),
            expect.objectContaining({ target: 'vdb', deviceId: 1, to: anew()[1], virtualSize: 2 * 1024 * KIB }),
          ],
        }),
      ]);
      expect(await listed()).toEqual([]);
      const done = await restore({ backup: point.id, way: 'new-disks', to: FOLDER });
      expect(done).toMatchObject({
        ...{ backup: point.id, way: 'new-disks', assurance: 'accounted', accepted: null, identical: true, vmTouched: null },
        run: {
          kind: 'restore',
          state: 'succeeded',
          plannedKind: 'restore',
          progress: { done: 6 * 1024 * KIB, total: 6 * 1024 * KIB },
        },
        plan: plan.body as object,
        result: {
          swapped: false,
          disks: [
            { target: 'vda', identical: true, links: 2, hashed: 0 },
            { target: 'vdb', identical: true },
          ],
        },
      });
      expect(done.run.warnings[0]).toMatch(/^vda: not hashed: 2 of the 2 files/);
      expect(await holds(point.moment, anew())).toEqual([true, true]);
      expect(await holds(full.moment, anew())).toEqual([false, false]);
      // The VM was not touched: its chain goes on.
      expect(await service.backup()).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });

      const one = await restore({ backup: full.id, way: 'new-disks', disks: ['vdb'], to: `${FOLDER}/`, format: 'raw' });
      expect(one.plan?.disks).toMatchObject([
        { target: 'vdb', deviceId: 1, to: `${FOLDER}/${service.vm}-vdb.raw`, format: 'raw' },
      ]);
      const again = await restore({ backup: full.id, way: 'new-disks', to: FOLDER });
      expect(again).toMatchObject({ identical: null, run: { state: 'failed', errorCode: 'target-exists' } });

      expect(await listed()).toEqual([again.id, one.id, done.id]);
      expect(await listed(`backup=${full.id}`)).toEqual([again.id, one.id]);
      expect(await listed(`vm=${service.vm}&limit=1`)).toEqual([again.id]);
      const { nextCursor } = (await service.get('/restores?limit=2')).body as { nextCursor: string };
      expect(await listed(`limit=2&cursor=${nextCursor}`)).toEqual([done.id]);
      // What a failed one has begun is no backup that lies about somewhere.
      expect((await service.post('/hosts/kvm1/sweep', {})).body).toMatchObject({ items: [] });
    });

    it('in place: only when stopped; the next backup is a full, or a rescue where the offering says so', async () => {
      const [point] = [await take(), await take()];
      const body = { backup: point.id, way: 'in-place' };
      expect((await dry(body)).body.code).toBe('restore.vm-running');
      await service.lab.vmStop(service.vm);
      expect((await dry(body)).body.warnings).toEqual([expect.stringMatching(/^every bitmap of the VM goes/)]);
      const key = { 'idempotency-key': 'in-place' };
      const { id } = (await ask(body, '', key)).body as { id: string };
      await service.ended(id);
      const done = await shown(id);
      expect(done).toMatchObject({ identical: true, vmTouched: expect.any(String) as string, result: { swapped: true } });
      expect(await holds(point.moment, await volumes())).toEqual([true, true]);
      expect((await service.get(`/vms/${service.vm}`)).body.activeCheckpoint).toBeNull();
      await service.lab.vmStart(service.vm);
      // A retry is answered with what it was, though the VM runs again.
      expect((await ask(body, '', key)).body).toMatchObject({ id, state: 'succeeded' });
      // The books know when a backup was by the second only; one of the same second may be of before.
      await sleep(1000);
      expect(await service.backup()).toMatchObject({ type: 'FULL', reason: 'restored-since' });
      expect(await service.backup()).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });

      await service.call('PATCH', '/offerings/daily', { body: { onLostBitmap: 'rescue' } });
      await service.lab.vmStop(service.vm);
      await restore({ ...body, disks: ['vda'] });
      expect((await service.get(`/vms/${service.vm}`)).body.activeCheckpoint).toMatch(/^backup-/);
      await service.lab.vmStart(service.vm);
      expect(await service.backup()).toMatchObject({ type: 'INCREMENTAL', reason: 'rescued', assurance: 'accounted' });
    });

    it('a new VM, a disk attached to another one, from the backups of a VM that is gone', async () => {
      const point = await take();
      await service.lab.vmCreate('other', [{ target: 'vda', size: 64 * KIB }]);
      await service.lab.vmStart('other');
      expect((await service.call('DELETE', `/vms/${service.vm}`)).status).toBeLessThan(300);
      await service.lab.vmStop(service.vm);
      expect((await dry({ backup: point.id, way: 'in-place' })).body.code).toBe('restore.no-volume');
      const domain = await restore({ backup: point.id, way: 'new-domain', newName: 'copy', to: FOLDER });
      expect(domain).toMatchObject({ identical: true, result: { domain: { name: 'copy', uuid: expect.any(String) as string } } });
      expect(await holds(point.moment, anew('copy'))).toEqual([true, true]);
      const attached = await restore({ backup: point.id, way: 'new-disks', disks: ['vdb'], to: FOLDER, attachTo: 'other' });
      expect(attached).toMatchObject({ identical: true, result: { attached: { vm: 'other', target: 'vdb' } } });
      expect(attached.plan?.warnings).toEqual([expect.stringContaining('other will have a disk more')]);
    });

    it('a broken point: found by its checksums, refused, then salvaged, and kept who did and why', async () => {
      const [good, bad] = [await take(), await take()];
      const { externalId, disks } = (await service.get(`/backups/${bad.id}`)).body;
      const checksums = async (query: string): Promise<void> => {
        await service.call('POST', `/backups/${bad.id}/checksums${query}`);
        await until(async () => (await service.get(`/backups/${bad.id}/checksums`)).body.reading === null, 'its files were read');
      };
      await checksums('');
      await service.lab.flip(service.lab.nasFile('nas1', `${externalId}/${disks[0].file}`));
      await checksums('?verify=true');
      const body = { backup: bad.id, way: 'new-disks', to: FOLDER };
      for (const accept of [undefined, { level: 'unproven', ...BY }]) {
        const refused = await ask({ ...body, accept });
        expect([refused.status, refused.body.code, refused.body.next]).toEqual([
          ...[409, 'restore.broken', expect.stringContaining(`The nearest better point is ${good.id} of 2`)],
        ]);
      }
      expect(await listed()).toEqual([]);
      const accept = { level: 'broken', ...BY };
      expect((await dry({ ...body, accept })).body).toMatchObject({
        ...{
          assurance: 'broken',
          accepted: accept,
          warnings: [expect.stringContaining(`taken as it is, broken: The nearest better`)],
        },
      });
      expect(await restore({ ...body, accept })).toMatchObject({ assurance: 'broken', accepted: accept });
      // The point under it is what it was.
      expect(await restore({ backup: good.id, way: 'new-domain', newName: 'copy', to: FOLDER })).toMatchObject({
        identical: true,
      });
    });

    it('one thing at a time: neither a backup nor a second restore beside it; a retry is the same run', async () => {
      const point = await take();
      service.lab.host.paceMs = 300;
      const body = { backup: point.id, way: 'new-disks', to: FOLDER };
      const key = { 'idempotency-key': 'once' };
      const first = await ask(body, '', key);
      expect((await service.post('/backups', { vm: service.vm })).body.code).toBe('run.active');
      expect((await ask({ ...body, to: '/fake' })).body.code).toBe('run.active');
      expect((await ask(body, '', key)).body.id).toBe(first.body.id);
      expect((await ask({ ...body, disks: ['vda'] }, '', key)).body.code).toBe('run.key-reused');
      await service.ended(first.body.id as string);
      expect((await ask(body, '', key)).body).toMatchObject({ id: first.body.id, state: 'succeeded' });
    });

    it('cancelled: before it begins, and in its middle; everything is as it was', async () => {
      const [point] = [await take(), await take()];
      await service.lab.moment(service.vm, 'before');
      await service.lab.vmStop(service.vm);
      service.lab.host.paceMs = 400;
      const id = await begun({ backup: point.id, way: 'in-place' });
      while ((await shown(id)).run.progress === null) await sleep(20);
      // Whoever dies from here on: no bitmap of before counts until somebody knows better.
      expect((await shown(id)).vmTouched).not.toBeNull();
      expect((await service.post(`/runs/${id}/abort`, {})).status).toBe(202);
      expect(await service.ended(id)).toMatchObject({ state: 'cancelled', errorCode: 'job-cancelled' });
      expect(await shown(id)).toMatchObject({ identical: null, vmTouched: null });
      expect(await holds('before', await volumes())).toEqual([true, true]);
      await service.lab.vmStart(service.vm);
      service.lab.host.paceMs = 0;
      expect(await service.backup()).toMatchObject({ type: 'INCREMENTAL' });
    });

    it.each([
      ['killed', 'now', null, 'INCREMENTAL'],
      ['killed-at-end', 'point', 'FULL', 'FULL'],
    ] as const)('the host script is %s: what the host makes of it is in the books', async (kind, moment, touched, type) => {
      const [point] = [await take(), await take()];
      await service.lab.moment(service.vm, 'now');
      await service.lab.vmStop(service.vm);
      service.lab.host.faults.add({ kind, on: 'restore' });
      const lost = await restore({ backup: point.id, way: 'in-place' });
      expect(lost).toMatchObject({ identical: null, result: null, run: { state: 'failed', errorCode: 'outcome-lost' } });
      expect(lost.vmTouched === null).toBe(touched === null);
      expect(await holds(moment === 'now' ? 'now' : point.moment, await volumes())).toEqual([true, true]);
      await service.lab.vmStart(service.vm);
      expect(await service.backup()).toMatchObject({ type });
    });

    it('a service that was ended in the middle: the next one follows the same job to its end', async () => {
      const point = await take();
      service.lab.host.paceMs = 500;
      const id = await begun({ backup: point.id, way: 'new-disks', to: FOLDER });
      while ((await shown(id)).plan === null) await sleep(20);
      await service.restart();
      expect(await service.ended(id)).toMatchObject({ state: 'succeeded' });
      expect(await holds(point.moment, anew())).toEqual([true, true]);
    });

    it('what nobody can read as a wish: a stable code, and nothing is written down', async () => {
      const { id: backup } = await take();
      const HOSTILE = [
        ...[`a'b`, '$(id)', 'a;id', 'a\nb', 'a\0b', '../../etc/passwd', '..', '-rf', 'a b', '\ud800', '', 'x'.repeat(5000)],
        ...["'; DROP TABLE ck_restores; --", '/x,/y', 'rbd:pool/image:id=admin'],
      ];
      const way = 'new-disks';
      for (const text of HOSTILE)
        for (const body of [
          { backup: text, way, to: FOLDER },
          { backup, way: text, to: FOLDER },
          { backup, way, to: text },
          { backup, way, to: FOLDER, disks: [text] },
          { backup, way, places: [{ target: text, path: '/x' }] },
          { backup, way, places: [{ target: 'vda', path: text }] },
          { backup, way, to: FOLDER, files: [{ target: 'vda', file: text }] },
          { backup, way: 'new-domain', to: FOLDER, newName: text },
          { backup, way, to: FOLDER, disks: ['vda'], attachTo: text },
          { backup, way, to: FOLDER, host: text },
          { backup, way, to: FOLDER, format: text },
          { backup, way, to: FOLDER, accept: { level: text, ...BY } },
        ]) {
          const answer = await ask(body);
          expect([answer.text, [400, 404].includes(answer.status)]).toEqual([answer.text, true]);
          expect(answer.body.code).toMatch(/^(request\.invalid|name\.(target|disk|file|vm)|(backup|host)\.not-found)$/);
        }
      for (const [body, code] of [
        [{}, 'request.invalid'],
        [{ backup, way, to: FOLDER, colour: 'red' }, 'request.invalid'],
        [{ backup, way, to: FOLDER, disks: [] }, 'request.invalid'],
        [{ backup, way, to: FOLDER, disks: 'vda' }, 'request.invalid'],
        [{ backup, way, to: FOLDER, bandwidth: 0 }, 'request.invalid'],
        [{ backup, way, to: FOLDER, bandwidth: '7' }, 'request.invalid'],
        [{ backup, way, to: FOLDER, accept: { level: 'unproven', by: 'ops' } }, 'request.invalid'],
        [{ backup, way, to: FOLDER, accept: { level: 'unproven', by: 'ops', why: ' ' } }, 'request.invalid'],
        [{ backup, way, to: FOLDER, accept: 'yes' }, 'request.invalid'],
        [
          {
            backup,
            way,
            places: [
              { target: 'vda', path: '/a' },
              { target: 'vda', path: '/b' },
            ],
          },
          'restore.named-twice',
        ],
        [{ backup, way, places: [{ target: '__proto__', path: '/a' }] }, 'name.target'],
        [{ backup, way }, 'restore.contradiction'],
        [{ backup, way, to: FOLDER, disks: ['vdz'] }, 'restore.no-such-disk'],
        [{ backup, way, to: FOLDER, host: 'nope' }, 'host.not-found'],
      ] as const)
        expect((await ask(body)).body.code).toBe(code);
      for (const path of ['/restores/nope', '/restores?vm=nope', '/restores?colour=red', '/restores?cursor=x'])
        expect((await service.get(path)).body.code).toMatch(/^(restore|vm)\.not-found$|^request\.(invalid|cursor)$/);
      expect(await listed()).toEqual([]);
    });

    it('the command line: what it is worth first, then what goes where, then what became of it', async () => {
      const point = await take();
      const ck = (...args: string[]): Promise<CliEnd> =>
        runCli(args, { CHAINKEEPER_URL: service.url, USER: 'night', SUDO_USER: 'night' });
      const ours = ['--to', FOLDER, '--new-name', 'copy', '--networks', '--bandwidth', '9'];
      const said = await ck('restore', point.id, ...ours, '--dry-run');
      expect([said.code, said.err, said.out]).toEqual([0, '', expect.stringMatching(/^This point is accounted\. /)]);
      expect(said.out).toContain(anew('copy')[1]);
      expect(said.out).toMatch(/then the new VM copy, its network links up/);
      expect(await listed()).toEqual([]);
      const done = await ck('restore', point.id, ...ours, '--wait');
      // Nobody has hashed the files yet: done, with a warning.
      expect([done.code, done.err]).toEqual([3, '']);
      expect(done.out).toMatch(
        /^This point is accounted\.[^]*: succeeded\nat most 9 MiB a second\nwarning: vda: not hashed[^]*all disks: identical with its chain/,
      );
      const [id = ''] = await listed();
      expect(await shown(id)).toMatchObject({ run: { trigger: 'cli' }, plan: { networks: true, newName: 'copy', bandwidth: 9 } });
      expect((await ck('restores')).out).toContain(id);
      expect((await ck('restores', '--vm', service.vm, '--backup', point.id)).out).toContain(id);
      expect((await ck('restores', id)).out).toMatch(/^This point is accounted\.[^]*VM copy \([0-9a-f-]{36}\) is there/);
      expect(JSON.parse((await ck('restores', id, '--json')).out)).toEqual(await shown(id));

      const places = [
        '--to',
        `vda=${FOLDER}/a=b.raw`,
        '--to',
        FOLDER,
        '--disk',
        'vda',
        '--format',
        'raw',
        '--file',
        'vda=no.qcow2',
      ];
      const failed = await ck('restore', point.id, ...places, '--wait', '--json');
      expect([failed.code, JSON.parse(failed.out)]).toEqual([
        1,
        expect.objectContaining({
          plan: expect.objectContaining({ disks: [expect.objectContaining({ to: `${FOLDER}/a=b.raw`, file: 'no.qcow2' })] }),
        }),
      ]);
      const started = await ck(
        'restore',
        point.id,
        '--to',
        `vda=${FOLDER}/x`,
        '--disk',
        'vda',
        '--accept-unproven',
        '--why',
        'drill',
      );
      expect([started.code, started.out]).toEqual([
        0,
        expect.stringMatching(/taken for that by night: drill[^]*"chainkeeper restores /),
      ]);
      await service.ended((await listed())[0] ?? '');
      for (const [args, code] of [
        [['none', '--to', FOLDER], 10],
        [[point.id], 11],
        [[point.id, '--in-place'], 11],
        [[point.id, '--in-place', '--to', FOLDER], 11],
        [[point.id, '--to', FOLDER, '--to', '/other'], 2],
        [[point.id, '--to', FOLDER, '--bandwidth', '0'], 2],
        [[point.id, '--to', FOLDER, '--format', 'vmdk'], 2],
        [[point.id, '--to', FOLDER, '--file', 'root.qcow2'], 2],
        [[point.id, '--to', FOLDER, '--salvage'], 2],
      ] as const)
        expect([args, (await ck('restore', ...args, '--dry-run')).code]).toEqual([args, code]);
      expect((await ck('restores', 'none')).code).toBe(10);
    });

    it('maintenance: no restore begins there, and another host does it', async () => {
      const point = await take();
      const body = { backup: point.id, way: 'new-disks', to: FOLDER };
      await service.call('PATCH', '/hosts/kvm1', { body: { resourceState: 'Maintenance' } });
      expect((await dry(body)).body.code).toBe('host.none-looks');
      expect((await dry({ ...body, host: 'kvm1' })).body.code).toBe('host.maintenance');
      const { address, user } = await service.lab.access();
      await service.post('/hosts', { name: 'kvm2', address, user });
      expect((await dry(body)).body.host).toBe('kvm2');
      await service.call('PATCH', '/hosts/kvm1', { body: { resourceState: 'Enabled' } });
      await service.lab.vmStop(service.vm);
      expect((await dry({ backup: point.id, way: 'in-place', host: 'kvm2' })).body.code).toBe('restore.wrong-host');
      expect(await restore({ ...body, host: 'kvm2' })).toMatchObject({ identical: true, plan: { host: 'kvm2' } });
    });
  },
  FULL ? undefined : ['sqlite'],
);

/** What a stock script took is unproven: nobody measured it. */
describe('restoring what a stock script took', () => {
  it('refused, then accepted; ours beside it does it, from the file names that every script gives', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chainkeeper-restores-'));
    const service = await FakeService.start({ kind: 'sqlite', path: join(folder, 'books.sqlite') });
    try {
      await service.registerStock('seed', true);
      await service.lab.write(service.vm, 'vda', 0x11, 0, 64 * KIB);
      await service.lab.moment(service.vm, 'stock');
      const { id: backup } = (await service.backup()) as { id: string };
      const body = { backup, way: 'new-disks', to: FOLDER };
      const refused = await service.post('/restores', body);
      expect([refused.body.code, refused.body.next]).toEqual([
        ...['restore.unproven', 'The VM has no better point. Or take it as it is: --accept-unproven, and why.'],
      ]);
      const accept = { level: 'unproven', ...BY };
      const { body: run } = await service.post('/restores', { ...body, accept });
      expect(await service.ended(run.id as string)).toMatchObject({ state: 'succeeded' });
      expect((await service.get(`/restores/${run.id}`)).body).toMatchObject({
        assurance: 'unproven',
        accepted: accept,
        identical: true,
      });
      expect(await service.lab.same(service.vm, 'stock', 'vda', `${FOLDER}/${service.vm}-vda.qcow2`)).toBe(true);
      // Without ours beside it there is nobody who could.
      await service.call('PATCH', '/hosts/kvm1', { body: { beside: false } });
      expect((await service.post('/restores?dryRun=true', { ...body, accept })).body.code).toBe('host.none-looks');
      expect((await service.post('/restores?dryRun=true', { ...body, accept, host: 'kvm1' })).body.code).toBe(
        'restore.no-script',
      );
    } finally {
      await service.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
