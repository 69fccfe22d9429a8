import type { DatabaseConfig } from '../../src/database/data-source';
import { OperationalError, UserError } from '../../src/domain/errors';
import { Brake, until } from '../support/brake';
import { describeDatabases } from '../support/databases';
import { FakeService } from '../support/fake-service';
import { shiftClock } from '../support/shift-clock';

jest.setTimeout(120_000);

/** A run whose job goes on while something happens to whoever follows it. */
describeDatabases(
  'a job that is followed',
  (databases) => {
    const RightDate = Date;
    let service: FakeService;
    let brake: Brake;
    let books: DatabaseConfig;
    beforeEach(async () => {
      books = await databases.fresh();
      service = await FakeService.start(books, { CHAINKEEPER_ATTEMPTS: '2', CHAINKEEPER_RETRY_SECONDS: '1' });
      await service.register();
      brake = new Brake(service.lab.host);
    });
    afterEach(async () => {
      globalThis.Date = RightDate;
      brake.release();
      await service.close();
    });

    const get = async (id: string): Promise<Record<string, unknown>> =>
      (await service.get(`/runs/${id}`)).body as Record<string, unknown>;
    const is = (id: string, state: string): Promise<void> =>
      until(async () => (await get(id))['state'] === state, `run ${id} is ${state}`);
    const ask = async (): Promise<string> => ((await service.post('/backups', { vm: service.vm })).body as { id: string }).id;
    const begun = async (): Promise<string> => {
      const id = await ask();
      await until(() => service.lab.host.jobs.has(id), 'it was started');
      return id;
    };
    const told = async (id: string): Promise<string[]> =>
      ((await service.get(`/events?run=${id}&limit=100`)).body.items as { kind: string; reason: string | null }[])
        .map(({ kind, reason }) => (kind === 'unknown' ? `${kind} ${reason ?? ''}` : kind))
        .reverse();
    /** Strikes those of its commands that hold this word; answers how many there were. */
    const strike = (word: string, error: (nth: number) => Error | null): (() => number) => {
      let count = 0;
      service.onCommand = ({ argv }) => {
        if (!argv.includes(word)) return;
        const thrown = error((count += 1));
        if (thrown !== null) throw thrown;
      };
      return () => count;
    };
    const succeeds = async (id: string): Promise<void> => {
      brake.release();
      expect(await service.ended(id)).toMatchObject({ state: 'succeeded', attempt: 1, errorCode: null });
      expect((await service.get('/backups')).body.items).toHaveLength(1);
    };

    it('has its place again as soon as the host answers: after an order whose end nobody saw, and after a silence', async () => {
      for (let lost = 0; lost < 3; lost += 1) service.lab.host.faults.add({ kind: 'lost-after', on: 'start' });
      const id = await begun();
      await until(async () => (await told(id)).includes('answered'), 'it was heard of again');
      expect(await get(id)).toMatchObject({ state: 'running', errorCode: null });
      let silent = true;
      strike('status', () => (silent ? new OperationalError('host.unreachable', 'unreachable', 'gone') : null));
      await is(id, 'unknown');
      silent = false;
      await is(id, 'running');
      expect(await told(id)).toEqual([
        'queued',
        'started',
        'unknown host.outcome-unknown',
        'answered',
        'unknown host.unreachable',
        'answered',
      ]);
      await succeeds(id);
    });

    it('stays with its orchestrator while the host refuses us, is told of once, and asked for as the books say by then', async () => {
      const id = await begun();
      const asked = strike('status', () => new UserError('host.auth-failed', 'unauthorized', 'no'));
      await until(() => asked() >= 2, 'it was asked for twice');
      await service.call('PATCH', '/hosts/kvm1', { body: { user: 'root' } });
      let sudo: boolean | undefined;
      service.onCommand = ({ argv }) => {
        if (argv.includes('status')) sudo ??= argv.includes('sudo');
      };
      await is(id, 'running');
      expect(sudo).toBe(false);
      expect(await told(id)).toEqual(['queued', 'started', 'unknown host.auth-failed', 'answered']);
      await succeeds(id);
    });

    it('goes on though the clock of the day steps', async () => {
      const id = await begun();
      const asked = strike('status', () => null);
      shiftClock(1000 * 3_600_000);
      const before = asked();
      await until(() => asked() > before + 2, 'it was asked for with the wrong clock');
      globalThis.Date = RightDate;
      await succeeds(id);
    });

    it.each([
      ['the shell of the host', null],
      ['the script, for a reason of its own', 'host-conf'],
    ])('is found by who takes it over, though the order to start it is refused by %s', async (_, script) => {
      const id = await begun();
      const refused = new OperationalError('host.script-failed', 'failed', 'no', { facts: { script } });
      strike('start', (nth) => (nth === 1 ? refused : null));
      await service.restart();
      await until(async () => (await told(id)).includes('answered'), 'it was heard of again');
      await succeeds(id);
    });

    it('is asked for on the host where it was started, wherever the VM is by now', async () => {
      const id = await begun();
      await service.post('/hosts', { name: 'kvm2', address: 'nowhere', user: 'root' });
      const { dataSource } = await databases.reopen(books);
      // CloudStack has moved the VM.
      await dataSource.query(
        "UPDATE vm_instance SET host_id = (SELECT id FROM host WHERE name = 'kvm2') WHERE instance_name = 'i-2-10-VM'",
      );
      await service.restart();
      await until(async () => (await told(id)).includes('recovered'), 'it was taken over');
      await succeeds(id);
    });

    it('leaves a word of what an abort could not put back', async () => {
      service.lab.host.stuck.push('libvirt’s backup job');
      const warning = 'left behind on the host: libvirt’s backup job';
      const stopped = await begun();
      await service.post(`/runs/${stopped}/abort`, {});
      expect(await service.ended(stopped)).toMatchObject({ state: 'cancelled', warnings: expect.arrayContaining([warning]) });

      const killed = await begun();
      service.lab.host.faults.add({ kind: 'unreachable', on: 'delete' });
      service.lab.host.jobs.get(killed)?.kill();
      const { errorCode, errorMessage, warnings } = await service.ended(killed);
      expect([errorCode, warnings]).toEqual(['outcome-lost', expect.arrayContaining([warning])]);
      expect(errorMessage).toMatch(/is still at i-2-10-VM\/.* on the NAS, .*could not be put back: libvirt’s backup job\.$/);
    });

    it('that dies when all is written and nothing said leaves no backup that nobody knows of', async () => {
      brake.release();
      const { host, vm, backup } = { host: service.lab.host, vm: service.vm, backup: () => service.backup() };
      const [first, nas] = [await backup(), [...host.nases.values()][0]];
      host.faults.add({ kind: 'killed-at-end' });
      const { errorCode, errorMessage } = await service.ended(await ask());
      expect([errorCode, errorMessage]).toEqual(['outcome-lost', expect.stringMatching(/what it had begun was discarded\.$/)]);
      expect(nas?.names(vm).map((name) => `${vm}/${name}`)).toEqual([first.externalId]);
      expect(await backup()).toMatchObject({ type: 'INCREMENTAL', reason: 'regular' });
    });

    it('is known to the sweep by the name of its attempt: what lives on is left alone', async () => {
      const { host } = service.lab;
      brake.release();
      host.faults.add({ kind: 'mount-failed', on: 'backup' });
      host.faults.add({ kind: 'killed', on: 'backup' });
      host.faults.add({ kind: 'unreachable', on: 'delete' });
      const id = await ask();
      expect(await service.ended(id)).toMatchObject({ state: 'failed', attempt: 2, errorCode: 'outcome-lost' });
      const job = host.jobs.get(`${id}-2`) as { state: string };
      const swept = async (): Promise<string[]> =>
        ((await service.post('/hosts/kvm1/sweep?dryRun=true', undefined)).body.items as { code: string }[]).map(
          ({ code }) => code,
        );
      job.state = 'running';
      expect(await swept()).toEqual([]);
      job.state = 'unknown';
      expect(await swept()).toEqual(['partial-directory']);
    });
  },
  ['sqlite'],
);
