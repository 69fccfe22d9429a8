import { BackupRepositories } from '../../src/database/repositories/backup-repositories';
import { Brake, until } from '../support/brake';
import { FakeService } from '../support/fake-service';
import { describeDatabases } from '../support/databases';
import type { EventDto } from '../../src/events/dto/event.dto';
import { METRICS } from '../../src/metrics/metric-list';
import { readMetrics } from '../support/read-metrics';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const uuid = expect.stringMatching(UUID) as string;
const time = expect.stringMatching(TIME) as string;

jest.setTimeout(120_000);

/** Every route of the API, as a client meets it; the fake host stands in for a hypervisor. */
describeDatabases('REST', (databases) => {
  let service: FakeService;

  beforeAll(async () => {
    service = await FakeService.start(await databases.fresh());
    await service.register();
  });
  afterAll(() => service?.close());

  describe.each([
    [
      'hosts',
      { name: 'kvm9', address: '10.0.0.9', port: 2222, user: 'ops', dialect: 'final' },
      { port: 22, resourceState: 'Maintenance', fingerprint: `SHA256:${'A'.repeat(43)}` },
      {},
    ],
    [
      'repositories',
      { name: 'nas9', type: 'nfs', address: '10.1.1.1:/export', mountOptions: 'vers=4.2,soft', transfer: 'pull' },
      { name: 'nas nine', transfer: null },
      // Without pull it is the guest that waits, or fails.
      {
        mountAdvice: [
          {
            option: 'soft',
            severity: 'warning',
            why: 'With push a NAS that is away for too long becomes the guest’s own I/O error: use hard, or pull.',
          },
        ],
      },
    ],
    [
      'offerings',
      { name: 'weekly', repository: 'nas1', fullEvery: 5, description: 'For people' },
      { fullEvery: 1, incrementalEnabled: false },
      {},
    ],
    [
      'vms',
      { name: 'i-2-99-VM', host: 'kvm1', disks: [{ target: 'vda', path: '/images/99' }] },
      { displayName: 'db server' },
      {},
    ],
  ])('%s', (resource, asked, change, follows) => {
    it('creates, lists, shows, changes and removes', async () => {
      const created = await service.post(`/${resource}`, asked);
      expect([created.status, created.body.id]).toEqual([201, uuid]);
      const { mountOptions, repository: _repository, disks: _disks, host: _host, ...same } = asked as Record<string, unknown>;
      expect(created.body).toMatchObject(same);
      if (mountOptions !== undefined) expect(created.body.mountOptions).toEqual(['vers', 'soft']);

      const { id } = created.body as { id: string };
      expect((await service.get(`/${resource}/${id}`)).body).toEqual(created.body);
      expect((await service.get(`/${resource}/${encodeURIComponent(created.body.name as string)}`)).body).toEqual(created.body);
      const { items } = (await service.get(`/${resource}`)).body as { items: { id: string }[] };
      expect(items[0]).toEqual(created.body);

      const changed = await service.call('PATCH', `/${resource}/${id}`, { body: change });
      expect([changed.status, changed.body]).toEqual([200, { ...created.body, ...change, ...follows }]);
      expect((await service.get(`/${resource}/${id}`)).body).toEqual(changed.body);

      const removed = await service.call('DELETE', `/${resource}/${id}`);
      expect([removed.status, removed.text]).toEqual([204, '']);
      expect((await service.get(`/${resource}/${id}`)).status).toBe(404);
      expect((await service.call('DELETE', `/${resource}/${id}`)).status).toBe(404);
      // The name is free again.
      const again = await service.post(`/${resource}`, asked);
      expect(again.status).toBe(201);
      await service.call('DELETE', `/${resource}/${again.body.id}`);
    });
  });

  it('takes what was set back to its default, for a host’s pinned key and key file', async () => {
    const { body } = await service.post('/hosts', {
      name: 'kvm8',
      fingerprint: `SHA256:${'B'.repeat(43)}`,
      privateKeyFile: '/key',
    });
    const changed = await service.call('PATCH', `/hosts/${body.id}`, { body: { fingerprint: null, privateKeyFile: null } });
    expect(changed.body).toEqual({ ...body, fingerprint: null, privateKeyFile: null });
    await service.call('DELETE', `/hosts/${body.id}`);
  });

  it('pages by cursor: every item once, newest first', async () => {
    const names = Array.from({ length: 5 }, (_, index) => `paged-${index}`);
    for (const name of names) await service.post('/offerings', { name, repository: 'nas1' });
    const seen: string[] = [];
    for (let cursor: string | null = null; ;) {
      const query: string = `/offerings?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`;
      const { body } = (await service.get(query)) as { body: { items: { name: string }[]; nextCursor: string | null } };
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ name }) => name));
      cursor = body.nextCursor;
      if (cursor === null) break;
    }
    expect(seen).toEqual([...names.reverse(), 'daily']);
    for (const name of names) await service.call('DELETE', `/offerings/${name}`);
  });

  it('refuses a second of one name, and to remove what is needed', async () => {
    for (const [path, body, code] of [
      ['/hosts', { name: 'kvm1' }, 'host.name-taken'],
      ['/repositories', { name: 'nas1', type: 'dir', address: '/x' }, 'repository.name-taken'],
      ['/offerings', { name: 'daily', repository: 'nas1' }, 'offering.name-taken'],
      ['/vms', { name: service.vm, host: 'kvm1' }, 'vm.name-taken'],
    ] as const) {
      const answer = await service.post(path, body);
      expect([answer.status, answer.body.code]).toEqual([409, code]);
    }
    for (const [path, code] of [
      ['/hosts/kvm1', 'host.in-use'],
      ['/repositories/nas1', 'repository.in-use'],
      ['/offerings/daily', 'offering.in-use'],
    ] as const) {
      const answer = await service.call('DELETE', path);
      expect([answer.status, answer.body.code]).toEqual([409, code]);
    }
  });

  it('asks the host for the disks of a VM, and says when the host knows none', async () => {
    const { body } = await service.get(`/vms/${service.vm}`);
    expect(body).toMatchObject({ name: service.vm, host: 'kvm1', offering: 'daily', activeCheckpoint: null });
    expect(body.disks).toEqual([
      { deviceId: 0, target: 'vda', path: expect.any(String), size: 4 * 1024 * 1024 },
      { deviceId: 1, target: 'vdb', path: expect.any(String), size: 2 * 1024 * 1024 },
    ]);
    const absent = await service.post('/vms', { name: 'i-2-11-VM', host: 'kvm1' });
    expect([absent.status, absent.body.code]).toEqual([404, 'vm.absent']);
  });

  describe('a backup', () => {
    it('is planned by a dry run, which says why and changes nothing', async () => {
      const before = await everything(service);
      const plan = await service.post('/backups?dryRun=true', { vm: service.vm });
      expect(plan.status).toBe(200);
      expect(plan.body).toMatchObject({
        kind: 'full',
        reason: 'no-parent',
        sentence: 'There is no earlier backup to build on.',
        position: 0,
        parentId: null,
        disks: [
          { target: 'vda', mode: 'full', parentFile: null },
          { target: 'vdb', mode: 'full', parentFile: null },
        ],
      });
      expect(await everything(service)).toEqual(before);
    });

    it('is accepted as a run with a Location, progresses, and is shown with keys, evidence and reason', async () => {
      const brake = new Brake(service.lab.host);
      const accepted = await service.post('/backups', { vm: service.vm });
      expect([accepted.status, accepted.headers.get('location')]).toEqual([202, `/api/v1/runs/${accepted.body.id}`]);
      expect(accepted.body).toMatchObject({
        id: uuid,
        vm: service.vm,
        state: 'queued',
        trigger: 'rest',
        created: time,
        ended: null,
      });

      const location = accepted.headers.get('location') ?? '';
      const inside = (): number => service.lab.host.jobs.get(accepted.body.id as string)?.progress?.processed ?? 0;
      await until(() => inside() > 0 || (brake.step(), false), 'bytes moved on the host');
      await until(async () => (await service.get(location)).body.progress?.done === inside(), 'the API tells the bytes');
      expect((await service.get(location)).body).toMatchObject({
        state: 'running',
        progress: { total: expect.any(Number) as number },
      });
      // As if it had gone on for a while.
      const { dataSource } = await databases.reopen(service.config.books);
      const started = new Date(Date.now() - 90_000).toISOString().replace('T', ' ').replace('Z', '');
      await dataSource.query(`UPDATE ck_runs SET started = '${started}' WHERE id = '${accepted.body.id}'`);
      const progress = async (): Promise<EventDto[]> =>
        (await service.get(`/events?run=${accepted.body.id}&kind=progress`)).body.items as EventDto[];
      await until(async () => {
        if ((await progress()).length > 0) return true;
        if ((await service.get(location)).body.progress.done === inside()) brake.step();
        return false;
      }, 'an event tells how far it is');
      brake.release();
      await service.ended(accepted.body.id as string);
      const told = await progress();
      expect(told[0]).toMatchObject({
        ...{ kind: 'progress', vm: service.vm, message: expect.stringMatching(/^\d+ of \d+ bytes are done\.$/) as string },
        facts: { done: expect.any(Number) as number, total: expect.any(Number) as number },
      });
      expect(new Set(told.map(({ reason }) => reason)).size).toBe(told.length);

      const { body: run } = await service.get(`/runs/${accepted.body.id}`);
      expect(run).toMatchObject({
        state: 'succeeded', plannedKind: 'full', reason: 'no-parent', backupId: uuid, exitCode: 0, warnings: [],
        errorCode: null, started: time, ended: time,
      }); // prettier-ignore
      expect(run.progress).toEqual({ done: run.progress.total, total: expect.any(Number) });
      expect((await service.get(`/runs/${run.id}/log`)).body).toMatchObject({ stdout: expect.stringMatching(/BITMAP_CREATED=/) });

      const { body: backup } = await service.get(`/backups/${run.backupId}`);
      expect(backup).toMatchObject({
        id: run.backupId, runId: run.id, vm: service.vm, status: 'BackedUp', type: 'FULL', reason: 'no-parent', date: time,
        assurance: 'accounted', restorable: true, findings: [],
        chain: { chainId: uuid, position: 0, parentId: null, bitmap: expect.stringMatching(/^backup-\d+$/), type: 'full',
          bitmapRecreated: null, recreateMethod: null },
        facts: { v: 1, done: { mode: 'full' } },
      }); // prettier-ignore
      expect(Number.isInteger(backup.size) && backup.size > 0).toBe(true);
      expect(backup.disks).toMatchObject([
        { target: 'vda', check: 'ok' },
        { target: 'vdb', check: 'ok' },
      ]);
      expect((await service.get(`/vms/${service.vm}`)).body.activeCheckpoint).toBe(backup.chain.bitmap);
    });

    it('is incremental when that is true, listed newest first, and explained', async () => {
      await service.lab.write(service.vm, 'vda', 0x11, 0, 65_536);
      const backup = await service.backup();
      expect(backup).toMatchObject({ type: 'INCREMENTAL', reason: 'regular', chain: { position: 1, type: 'incremental' } });
      const { items } = (await service.get(`/backups?vm=${service.vm}`)).body as { items: { id: string; chain: object }[] };
      expect(items.length).toBe(2);
      expect(items[0]).toMatchObject({ id: backup.id, chain: { parentId: items[1]?.id } });
      const { body: why } = await service.get(`/backups/${backup.id}/explain`);
      expect(why.why[0]).toMatch(/^Incremental \(regular\)/);
      expect([why.size.length > 0, why.evidence.length > 0]).toEqual([true, true]);
    });

    it('lets the data go as the call says, else the offering, else the repository; planned, done and explained', async () => {
      const say = (path: string, transfer: string | null): Promise<unknown> =>
        service.call('PATCH', path, { body: { transfer } });
      await say('/repositories/nas1', 'pull');
      const planned = async (call: object = {}) => {
        const { body } = await service.post('/backups?dryRun=true', { vm: service.vm, ...call });
        return [body.transfer, body.transferFrom] as unknown[];
      };
      expect(await planned()).toEqual(['pull', 'repository']);
      const backup = await service.backup();
      expect(backup.facts).toMatchObject({ done: { transfer: 'pull' } });
      const { body: why } = await service.get(`/backups/${backup.id}/explain`);
      expect(why.guest).toContain('The data was to go by pull: the repository says so.');
      await say('/offerings/daily', 'auto');
      expect([await planned(), await planned({ transfer: 'push' })]).toEqual([
        ['auto', 'offering'],
        ['push', 'call'],
      ]);
      await say('/offerings/daily', null);
      await say('/repositories/nas1', null);
      expect(await planned()).toEqual(['push', 'default']);
    });

    it('keeps to the limit of the call, else to the smaller one of offering and repository, and goes by no push then', async () => {
      const say = async (path: string, body: object): Promise<unknown> => (await service.call('PATCH', path, { body })).body;
      const planned = async (call: object = {}) => {
        const { body } = await service.post('/backups?dryRun=true', { vm: service.vm, ...call });
        return [body.bandwidth, body.bandwidthFrom, body.transfer, body.transferFrom] as unknown[];
      };
      expect(await planned()).toEqual([null, null, 'push', 'default']);
      expect(await say('/repositories/nas1', { bandwidth: 40 })).toMatchObject({ bandwidth: 40, transfer: null });
      expect(await planned()).toEqual([40, 'repository', 'pull', 'limit']);
      expect(await say('/offerings/daily', { bandwidth: 30, transfer: 'auto' })).toMatchObject({ bandwidth: 30 });
      expect(await planned()).toEqual([30, 'offering', 'auto', 'offering']);
      expect(await planned({ bandwidth: 999_999 })).toEqual([999_999, 'call', 'auto', 'offering']);

      // By the host's own word: the fake reads the same argv as the script.
      const backup = await service.backup();
      expect(backup.facts).toMatchObject({ done: { transfer: 'pull', bandwidth: 30 } });
      const { body: why } = await service.get(`/backups/${backup.id}/explain`);
      expect(why.guest).toContain('All disks together moved at most 30 MiB a second: the offering says so.');
      expect((await service.get(`/runs/${backup.runId}`)).body).toMatchObject({ bandwidth: 30, state: 'succeeded' });

      for (const path of ['/repositories/nas1', '/offerings/daily'])
        expect(await say(path, { transfer: 'push' })).toMatchObject({ status: 409, code: 'backup.push-unlimited' });
      for (const query of ['', '?dryRun=true'])
        expect((await service.post(`/backups${query}`, { vm: service.vm, transfer: 'push' })).body).toMatchObject({
          ...{ status: 409, code: 'backup.push-unlimited', next: expect.stringContaining('pull or auto') },
        });
      for (const bandwidth of [0, -1, 1.5, 1_000_000, '8', null])
        expect((await service.post('/backups', { vm: service.vm, bandwidth })).body).toMatchObject({ code: 'request.invalid' });
      for (const bandwidth of [0, 1_000_000, '8'])
        for (const path of ['/repositories/nas1', '/offerings/daily'])
          expect(await say(path, { bandwidth })).toMatchObject({ code: 'request.invalid' });

      // Said by two who do not know of each other: late rather than never, and not in silence.
      expect(await say('/offerings/daily', { bandwidth: null, transfer: 'push' })).toMatchObject({
        bandwidth: null,
        transfer: 'push',
      });
      expect(await planned()).toEqual([40, 'repository', 'pull', 'limit']);
      const { runId } = await service.backup();
      const { body: run } = await service.get(`/runs/${runId}`);
      expect(run.warnings).toEqual([expect.stringMatching(/^limit: it goes by pull .* \(the offering says so\)/)]);
      await say('/offerings/daily', { transfer: null });
      expect(await say('/repositories/nas1', { bandwidth: null })).toMatchObject({ bandwidth: null });
      expect(await planned()).toEqual([null, null, 'push', 'default']);
    });

    it('is refused while another run of the VM goes on, and so is whatever would change what that run goes by', async () => {
      const brake = new Brake(service.lab.host);
      const { body: run } = await service.post('/backups', { vm: service.vm, mode: 'full' });
      for (const [method, path, body] of [
        ['POST', '/backups', { vm: service.vm }],
        ['PUT', `/vms/${service.vm}/offering`, { offering: 'daily' }],
        ['DELETE', `/vms/${service.vm}/offering`, undefined],
        ['PATCH', `/vms/${service.vm}`, { host: 'kvm1' }],
        ['DELETE', `/vms/${service.vm}`, undefined],
        ['POST', `/vms/${service.vm}/release`, undefined],
      ] as const) {
        const answer = await service.call(method, path, { body });
        expect([method, path, answer.status, answer.body.code, answer.body.facts.runId]).toEqual([
          method,
          path,
          423,
          'run.active',
          run.id,
        ]);
      }
      brake.release();
      expect(await service.ended(run.id as string)).toMatchObject({ state: 'succeeded', reason: 'requested' });
    });

    it('is one run for one Idempotency-Key, however often it is asked for, also later', async () => {
      const key = { 'idempotency-key': `key-${Date.now()}` };
      const answers = await Promise.all([1, 2, 3].map(() => service.post('/backups', { vm: service.vm }, key)));
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
      expect(new Set(answers.map(({ body }) => body.id as string)).size).toBe(1);
      await service.ended(answers[0]?.body.id as string);
      const brake = new Brake(service.lab.host);
      const { body: other } = await service.post('/backups', { vm: service.vm });
      expect((await service.post('/backups', { vm: service.vm }, key)).body.id).toBe(answers[0]?.body.id);
      const reused = await service.post('/backups', { vm: service.vm, mode: 'full' }, key);
      expect([reused.status, reused.body.code]).toEqual([409, 'run.key-reused']);
      brake.release();
      await service.ended(other.id as string);
    });

    it('is one of many that are asked for at once', async () => {
      const brake = new Brake(service.lab.host);
      const answers = await Promise.all(Array.from({ length: 6 }, () => service.post('/backups', { vm: service.vm })));
      brake.release();
      expect(answers.map(({ status }) => status).sort()).toEqual([202, 423, 423, 423, 423, 423]);
      await service.ended(answers.find(({ status }) => status === 202)?.body.id as string);
    });

    it('can be stopped: the run is cancelled, and no backup is in the books', async () => {
      const brake = new Brake(service.lab.host);
      const { body: run } = await service.post('/backups', { vm: service.vm });
      const job = (): boolean => service.lab.host.vm(service.vm).job !== null;
      await until(() => job() || (brake.step(), false), 'the job runs');
      expect((await service.call('POST', `/runs/${run.id}/abort`)).status).toBe(202);
      brake.release();
      expect(await service.ended(run.id as string)).toMatchObject({ state: 'cancelled', backupId: null });
      const again = await service.call('POST', `/runs/${run.id}/abort`);
      expect([again.status, again.body.code]).toEqual([409, 'run.ended']);
      expect((await service.get(`/runs?vm=${service.vm}&limit=1`)).body.items[0].id).toBe(run.id);
    });

    it('can be stopped before its job has begun: then none begins', async () => {
      const started: string[] = [];
      let asked: Promise<number> | undefined;
      service.onCommand = async ({ argv }) => {
        if (argv.includes('start')) started.push(argv.join(' '));
        if (!argv.includes('inspect') || asked !== undefined) return;
        const [{ id }] = (await service.get(`/runs?vm=${service.vm}&limit=1`)).body.items;
        asked = service.call('POST', `/runs/${id}/abort`).then(({ status }) => status);
        await asked;
      };
      const { body: run } = await service.post('/backups', { vm: service.vm });
      const ended = await service.ended(run.id as string);
      service.onCommand = () => undefined;
      expect([await asked, ended, started]).toEqual([
        202,
        expect.objectContaining({ state: 'cancelled', errorCode: 'run.cancelled', backupId: null, abortAsked: time }),
        [],
      ]);
    });

    it('can be stopped while the start of its job is on its way: the job never runs', async () => {
      let asked: Promise<number> | undefined;
      service.onCommand = async ({ argv }) => {
        if (!argv.includes('start') || asked !== undefined) return;
        const [{ id }] = (await service.get(`/runs?vm=${service.vm}&limit=1`)).body.items;
        asked = service.call('POST', `/runs/${id}/abort`).then(({ status }) => status);
        await asked;
      };
      const { body: run } = await service.post('/backups', { vm: service.vm });
      const ended = await service.ended(run.id as string);
      service.onCommand = () => undefined;
      expect([await asked, ended]).toEqual([
        202,
        expect.objectContaining({ state: 'cancelled', errorCode: 'job-cancelled', backupId: null }),
      ]);
      expect(service.lab.host.jobs.get(run.id as string)).toMatchObject({ started: null, aborted: true, state: 'done' });
    });

    it('goes on in maintenance and can be stopped then, when nothing new is begun', async () => {
      const { lab, vm } = service;
      const maintenance = (resourceState: string) => service.call('PATCH', '/hosts/kvm1', { body: { resourceState } });
      const brake = new Brake(lab.host);
      const { body: run } = await service.post('/backups', { vm });
      await until(() => lab.host.vm(vm).job !== null || (brake.step(), false), 'the job runs');
      await maintenance('Maintenance');
      try {
        expect((await service.call('POST', `/runs/${run.id}/abort`)).status).toBe(202);
        brake.release();
        expect(await service.ended(run.id as string)).toMatchObject({ state: 'cancelled', backupId: null });
        expect(lab.host.vm(vm).job).toBeNull();
        expect((await service.post('/backups', { vm })).body.code).toBe('host.maintenance');
        expect((await service.get(`/runs?vm=${vm}&limit=1`)).body.items[0].id).toBe(run.id);
      } finally {
        brake.release();
        await maintenance('Enabled');
      }
    });
  });

  describe('maintenance', () => {
    const said = { by: 'alice', why: 'new disks' };
    const at = (what: 'hosts/kvm1' | 'repositories/nas1', query = ''): string => `/${what}/maintenance${query}`;
    const begin = (path: string, body: object = said) => service.call('PUT', path, { body });
    const events = async (kind: string): Promise<unknown> => (await service.get(`/events?kind=${kind}`)).body.items as unknown;
    /** A backup whose job runs, held there. */
    const running = async (): Promise<{ id: string; brake: Brake }> => {
      const { lab, vm } = service;
      const brake = new Brake(lab.host);
      const { body: run } = await service.post('/backups', { vm });
      await until(() => lab.host.vm(vm).job !== null || (brake.step(), false), 'the job runs');
      return { id: run.id as string, brake };
    };

    it('of a repository lets what goes on there finish, and what comes wait until it is over', async () => {
      const { id, brake } = await running();
      const { status, body: begun } = await begin(at('repositories/nas1'));
      expect([status, begun]).toEqual([
        200,
        expect.objectContaining({
          ...{ of: 'repository', name: 'nas1', inMaintenance: true, ...said, running: 'finish', waits: 0, dryRun: false },
          goingOn: [{ id, vm: service.vm, kind: 'backup', state: 'running', abort: false }],
        }),
      ]);
      expect((await begin(at('repositories/nas1'))).body).toEqual(begun);
      expect((await service.get('/repositories/nas1')).body.maintenance).toEqual({ ...said, since: begun.since });
      brake.release();
      const { backupId } = await service.ended(id);
      expect((await service.get(at('repositories/nas1'))).body).toMatchObject({ goingOn: [], reading: 0, waits: 0 });

      for (const refused of [
        await service.post('/backups', { vm: service.vm }),
        await service.post(`/backups/${backupId}/checksums`, undefined),
        await service.post('/restores', { backup: backupId, way: 'new-disks', to: '/var/lib/libvirt/images/r' }),
      ])
        expect([refused.status, refused.body.code, refused.body.facts]).toEqual([409, 'repository.maintenance', said]);
      const { body: run } = await service.call('DELETE', `/backups/${backupId}?acceptLoss=true`);
      const waits = async (): Promise<unknown> => (await service.get(`/runs/${run.id}`)).body.waits;
      await until(async () => (await waits()) === 'waits for repository nas1: in maintenance', 'it says what it waits for');
      expect((await service.get(at('repositories/nas1'))).body).toMatchObject({ waits: 1, waiting: [{ id: run.id }] });
      expect((await service.call('DELETE', at('repositories/nas1', '?dryRun=true'))).body.inMaintenance).toBe(true);
      expect((await service.call('DELETE', at('repositories/nas1'))).body).toMatchObject({ inMaintenance: false, by: null });
      expect(await service.ended(run.id as string)).toMatchObject({ state: 'succeeded' });
      for (const kind of ['maintenance-begun', 'maintenance-ended'])
        expect(await events(kind)).toEqual([
          expect.objectContaining({ reason: 'repository-maintenance', facts: { repository: 'nas1' } }),
        ]);
    });

    it('lets a run wait again that looked at its VM when it began', async () => {
      const looking = async (begins: () => Promise<unknown>): Promise<string> => {
        let begun: Promise<unknown> | undefined;
        service.onCommand = async ({ argv }) => {
          if (argv.includes('inspect')) await (begun ??= begins());
        };
        const { body: run } = await service.post('/backups', { vm: service.vm });
        return run.id as string;
      };
      const stateOf = (resourceState: string) => service.call('PATCH', '/hosts/kvm1', { body: { resourceState } });
      for (const [whose, begins, ends] of [
        ['host kvm1', () => begin(at('hosts/kvm1')), () => service.call('DELETE', at('hosts/kvm1'))],
        // As CloudStack has it.
        ['host kvm1', () => stateOf('Maintenance'), () => stateOf('Enabled')],
        ['repository nas1', () => begin(at('repositories/nas1')), () => service.call('DELETE', at('repositories/nas1'))],
      ] as const) {
        const id = await looking(begins);
        const run = async (): Promise<unknown> => (await service.get(`/runs/${id}`)).body;
        await until(async () => ((await run()) as { waits: unknown }).waits !== null, 'it waits');
        const waits = `waits for ${whose}: in maintenance`;
        expect(await run()).toMatchObject({ state: 'queued', attempt: 1, waits, errorCode: null });
        const reason = `${whose.split(' ')[0]}.maintenance`;
        expect(await events(`put-back&run=${id}`)).toEqual([expect.objectContaining({ reason })]);
        await ends();
        expect(await service.ended(id)).toMatchObject({ state: 'succeeded', attempt: 1 });
      }
      // Whoever wants it to stop does not want it to wait.
      const stopped = await looking(() => begin(at('repositories/nas1'), { ...said, running: 'abort' }));
      expect(await service.ended(stopped)).toMatchObject({ state: 'cancelled', errorCode: 'run.cancelled' });
      await service.call('DELETE', at('repositories/nas1'));
      service.onCommand = () => undefined;
    });

    it('of a host stops what goes on there if it is to, and says before what it would stop', async () => {
      const { id, brake } = await running();
      const abort = { ...said, running: 'abort' };
      const would = (await begin(at('hosts/kvm1', '?dryRun=true'), abort)).body;
      expect(would).toMatchObject({ inMaintenance: false, since: null, dryRun: true, goingOn: [{ id, abort: true }] });
      expect((await service.get(`/runs/${id}`)).body.abortAsked).toBeNull();
      expect((await service.get(at('hosts/kvm1'))).body.inMaintenance).toBe(false);
      expect((await begin(at('hosts/kvm1'), abort)).body).toMatchObject({ inMaintenance: true, goingOn: [{ id, abort: true }] });
      // Whoever drives it sees the wish.
      expect(await service.ended(id)).toMatchObject({ state: 'cancelled', backupId: null });
      brake.release();
      expect(await events(`abort-asked&run=${id}`)).toEqual([
        expect.objectContaining({ message: 'It is to stop: host kvm1 is in maintenance.' }),
      ]);
      expect((await service.post('/backups', { vm: service.vm })).body.code).toBe('host.maintenance');
      const { body: backups } = await service.get(`/backups?vm=${service.vm}&limit=1`);
      const anywhere = { backup: backups.items[0].id, way: 'new-disks', to: '/var/lib/libvirt/images/r' };
      expect((await service.post('/restores', anywhere)).body.code).toBe('host.none-looks');
      // CloudStack's own state counts beside it.
      await service.call('PATCH', '/hosts/kvm1', { body: { resourceState: 'Maintenance' } });
      expect((await service.call('DELETE', at('hosts/kvm1'))).body).toMatchObject({ inMaintenance: true, by: null });
      await service.call('PATCH', '/hosts/kvm1', { body: { resourceState: 'Enabled' } });
      expect((await service.get(at('hosts/kvm1'))).body.inMaintenance).toBe(false);
    });
  });

  it('lists chains by VM, page by page, and shows one with its links, assurance and gaps', async () => {
    const { body: all } = await service.get(`/chains?vm=${service.vm}`);
    expect(all.items.length).toBeGreaterThanOrEqual(2);
    const one = await service.get(`/chains?vm=${service.vm}&limit=1`);
    const rest = await service.get(`/chains?vm=${service.vm}&limit=100&cursor=${one.body.nextCursor}`);
    expect([...one.body.items, ...rest.body.items]).toEqual(all.items);
    expect((await service.get('/chains')).body.items).toEqual(all.items);
    const oldest = (all.items as { id: string }[]).at(-1) ?? { id: '' };
    expect(oldest).toMatchObject({
      vm: service.vm,
      links: 3,
      restorable: 3,
      assurance: 'accounted',
      from: time,
      to: time,
      findings: [],
    });
    const { body: chain } = await service.get(`/chains/${oldest.id}`);
    expect(chain).toMatchObject(oldest);
    expect(chain.backups).toMatchObject([
      { type: 'FULL', chain: { position: 0 } },
      { type: 'INCREMENTAL', chain: { position: 1 } },
      { type: 'INCREMENTAL', chain: { position: 2 } },
    ]);
  });

  it('releases a VM: its bitmaps are gone, its chain is closed, the next backup is a full', async () => {
    const { chain } = await service.backup({ mode: 'full' });
    const path = `/vms/${service.vm}/release`;
    const ours = { name: chain.bitmap, disks: ['vda', 'vdb'], checkpoint: true };
    const { body: shown } = await service.get(`/vms/${service.vm}/bitmaps`);
    expect(shown).toMatchObject({ vm: service.vm, state: 'running', activeCheckpoint: chain.bitmap });
    expect((shown.items as object[]).at(-1)).toEqual({
      name: chain.bitmap, created: expect.stringMatching(/^\d{4}-.*Z$/), disks: ['vda', 'vdb'], checkpoint: true, dirtyBytes: 0,
      granularity: 65_536, health: 'healthy', owner: 'parent', backupId: uuid, runId: null, advice: expect.any(String),
    }); // prettier-ignore
    const dry = await service.post(`${path}?dryRun=true`, undefined);
    expect([dry.status, dry.body]).toEqual([
      200,
      { vm: service.vm, state: 'running', dryRun: true, bitmaps: [ours], activeCheckpoint: chain.bitmap },
    ]);
    expect(await service.lab.bitmaps(service.vm, 'vda')).toContain(chain.bitmap);

    // The host cannot: then the books stay as they are, and the lease is given back.
    service.lab.host.faults.add({ kind: 'unreachable', on: 'release' });
    expect((await service.post(path, undefined)).status).toBe(503);
    expect((await service.get(`/vms/${service.vm}`)).body.activeCheckpoint).toBe(chain.bitmap);

    const done = await service.post(path, undefined);
    expect([done.status, done.body]).toEqual([200, { ...dry.body, dryRun: false }]);
    expect(await service.lab.bitmaps(service.vm, 'vda')).toEqual([]);
    expect((await service.get(`/vms/${service.vm}`)).body.activeCheckpoint).toBeNull();
    expect(await service.backup()).toMatchObject({ type: 'FULL', reason: 'bitmap-unconfirmed', chain: { position: 0 } });
  });

  it('sweeps what a killed run left: partial directory, bitmap, mount; what is booked or goes on stays', async () => {
    const path = '/hosts/kvm1/sweep';
    const good = await service.backup();
    const { host } = service.lab;
    host.faults.add({ kind: 'killed', on: 'backup' });
    // The runner's own cleaning comes to nothing, too.
    host.faults.add({ kind: 'unreachable', on: 'delete' });
    host.faults.add({ kind: 'unreachable', on: 'retire' });
    const { body: run } = await service.post('/backups', { vm: service.vm });
    expect(await service.ended(run.id as string)).toMatchObject({ state: 'failed' });
    host.mounts.add('/tmp/csbackup.left');
    const [nas] = [...host.nases.values()];
    const folders = new Set(nas?.folders);

    const dry = await service.post(`${path}?dryRun=true`, undefined);
    expect([dry.status, dry.body]).toEqual([200, expect.objectContaining({ host: 'kvm1', dryRun: true })]);
    const found = (dry.body.items as { code: string; subject: string }[]).map(({ code, subject }) => [code, subject]);
    expect(found).toEqual([
      ['mount', '/tmp/csbackup.left'],
      ['bitmap', expect.stringMatching(`^${service.vm} backup-`)],
      ['partial-directory', expect.stringMatching(`^${service.vm}/`)],
    ]);
    expect([nas?.folders, host.mounts.size]).toEqual([folders, 1]);
    expect((await service.get(`/vms/${service.vm}/bitmaps`)).body.items).toContainEqual(
      expect.objectContaining({ name: found[1]?.[1]?.split(' ')[1], owner: 'ended-run', runId: run.id }),
    );

    const swept = await service.post(path, undefined);
    expect((swept.body.items as { action: string }[]).map(({ action }) => action)).toEqual(['removed', 'removed', 'removed']);
    expect([host.mounts.size, nas?.folders.has(found[2]?.[1] ?? '')]).toEqual([0, false]);
    expect(nas?.folders.size).toBe(folders.size - 1);
    expect(await service.lab.bitmaps(service.vm, 'vda')).toEqual([good.chain.bitmap]);
    expect((await service.post(path, undefined)).body.items).toEqual([]);
    expect(await service.backup()).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
  });

  it('starts a new chain after an offering was taken away or given anew', async () => {
    await service.backup({ mode: 'full' });
    expect((await service.get(`/vms/${service.vm}`)).body.activeCheckpoint).toMatch(/^backup-/);
    const without = await service.call('DELETE', `/vms/${service.vm}/offering`);
    expect([without.status, without.body.offeringId, without.body.activeCheckpoint]).toEqual([200, null, null]);
    const refused = await service.post('/backups', { vm: service.vm });
    expect([refused.status, refused.body.code]).toEqual([409, 'vm.no-offering']);
    const given = await service.call('PUT', `/vms/${service.vm}/offering`, { body: { offering: 'daily' } });
    expect([given.body.offering, given.body.activeCheckpoint]).toEqual(['daily', null]);
    expect((await service.post('/backups?dryRun=true', { vm: service.vm })).body).toMatchObject({ kind: 'full', parentId: null });
  });

  it('reports recreations as JSON and as CSV, which agree', async () => {
    await service.backup();
    await service.lab.vmStop(service.vm);
    await service.lab.vmStart(service.vm);
    const redefined = await service.backup();
    expect(redefined).toMatchObject({ reason: 'redefined', chain: { recreateMethod: 'redefined' } });
    const { body: json } = await service.get(`/audit/recreations?vm=${service.vm}`);
    expect(json.items[0]).toEqual({
      backupId: redefined.id, vmId: redefined.vmId, vm: service.vm, date: redefined.date, type: 'INCREMENTAL', size: redefined.size,
      ratio: expect.any(Number), suspicion: null, restarts: 1, recreated: redefined.chain.bitmapRecreated,
      recreateMethod: 'redefined', reason: 'redefined', assurance: 'accounted',
    }); // prettier-ignore
    const csv = await service.get(`/audit/recreations?vm=${service.vm}&format=csv`);
    expect(csv.headers.get('content-type')).toMatch(/^text\/csv/);
    const [head = '', ...rows] = csv.text.trimEnd().split('\n');
    expect(rows.length).toBe(json.items.length);
    const first = Object.fromEntries(head.split(',').map((name, index) => [name, rows[0]?.split(',')[index]]));
    expect(first).toMatchObject({
      recreateMethod: 'redefined',
      restarts: '1',
      backupId: redefined.id,
      size: String(redefined.size),
    });
    expect((await service.get('/audit/recreations?since=2999-01-01T00:00:00Z')).body).toEqual({ items: [] });

    const line = service.lines
      .map((text) => JSON.parse(text) as Record<string, unknown>)
      .find(({ method }) => method === 'redefined');
    expect(line).toMatchObject({
      level: 'info', runId: redefined.runId, vm: service.vm, host: 'kvm1', chainId: redefined.chain.chainId,
      backupId: redefined.id, bitmap: redefined.chain.bitmapRecreated,
    }); // prettier-ignore
    expect(line?.['msg']).toMatch(/bitmap was recreated/);
  });

  it('writes a log line with run, VM, chain and host for every step of a run', () => {
    const lines = service.lines.map((text) => JSON.parse(text) as Record<string, unknown>);
    for (const message of ['dispatched', 'backed up']) {
      const line = lines.find(({ msg }) => msg === message);
      expect(line).toMatchObject({ level: 'info', time, runId: uuid, vm: service.vm, chainId: uuid, host: 'kvm1' });
    }
  });

  it('says that it is alive and ready', async () => {
    expect((await service.get('/health/live')).body).toEqual({ status: 'ok' });
    expect((await service.get('/health/ready')).body).toEqual({ status: 'ok', checks: ['books'] });
  });

  it('tells how it is in numbers, as Prometheus reads them', async () => {
    const { body: one } = await service.get('/repositories/nas1');
    const { work } = await databases.reopen(service.config.books);
    const repositories = new BackupRepositories(work);
    const { id } = (await repositories.find(one.id as string)) as { id: number };
    await repositories.change(id, { name: 'na"s\\\n1', usedBytes: 7, capacityBytes: null });
    const answer = await service.get('/metrics');
    await repositories.change(id, { name: 'nas1' });
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8; version=0.0.4');
    const read = readMetrics(answer.text);
    expect([...read].map(([name, { type, help }]) => [name, { type, help }])).toEqual(Object.entries(METRICS));
    const told = (name: keyof typeof METRICS, labels: object = {}): number[] =>
      (read.get(name)?.samples ?? [])
        .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
        .map(({ value }) => value);
    expect(told('chainkeeper_build_info', { role: 'all', books: service.config.books.kind })).toEqual([1]);
    expect(told('chainkeeper_check_ok')).toEqual([1]);
    expect(told('chainkeeper_look_failing')).toEqual([0, 0, 0, 0]);
    expect(told('chainkeeper_stuck_runs')).toEqual([0, 0, 0]);
    expect(told('chainkeeper_runs')).toEqual(Array(12).fill(0));
    expect(told('chainkeeper_repository_used_bytes', { repository: 'na"s\\\n1' })).toEqual([7]);
    expect(told('chainkeeper_repository_capacity_bytes')).toEqual([]);
    const { items } = (await service.get('/vms?limit=200')).body as { items: unknown[] };
    expect(told('chainkeeper_vms')).toEqual([items.length]);
    const runs = (await service.get('/runs?limit=200')).body.items as { kind: string; state: string }[];
    for (const kind of ['backup', 'delete'])
      for (const outcome of ['succeeded', 'failed', 'cancelled'])
        expect([kind, outcome, told('chainkeeper_runs_ended_total', { kind, outcome })]).toEqual([
          ...[kind, outcome],
          [runs.filter((run) => run.kind === kind && run.state === outcome).length],
        ]);
    const [seconds = 0, count] = told('chainkeeper_run_duration_seconds', { kind: 'backup' });
    const ended = told('chainkeeper_runs_ended_total', { kind: 'backup' }).reduce((sum, one) => sum + one, 0);
    // Three came to a maintenance: each was begun and put back.
    expect([seconds > 0, count, told('chainkeeper_runs_begun_total', { kind: 'backup' })]).toEqual([true, ended, [ended + 3]]);
    expect(told('process_resident_memory_bytes')[0]).toBeGreaterThan(1e7);
  });
});

/** All lists, as they stand. */
async function everything(service: FakeService): Promise<unknown[]> {
  const paths = ['/vms', '/hosts', '/repositories', '/offerings', '/backups', '/chains', '/runs'];
  return Promise.all(paths.map(async (path) => (await service.get(path)).body as unknown));
}
