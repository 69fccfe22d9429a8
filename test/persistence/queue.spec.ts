import { Claims, type TakenRun } from '../../src/database/repositories/claims';
import { Dues } from '../../src/database/repositories/dues';
import { Evidence } from '../../src/database/repositories/evidence';
import { Figures } from '../../src/database/repositories/figures';
import { type Access, Hosts } from '../../src/database/repositories/hosts';
import { type Lease, Leases } from '../../src/database/repositories/leases';
import { RunPlaces } from '../../src/database/repositories/run-places';
import { Runs } from '../../src/database/repositories/runs';
import { Vms } from '../../src/database/repositories/vms';
import { Queue } from '../../src/engine/queue';
import { loadConfig } from '../../src/platform/config/load-config';
import { aRun, aVm } from '../support/books';
import { type Books, describeDatabases } from '../support/databases';
import { anInspection } from '../support/facts';

const ACCESS: Access = {
  ...{ address: '10.0.0.1', port: 22, sshUser: 'root', privateKeyFile: null, agentSocket: null, knownHostsFile: null },
  ...{ fingerprint: null, scriptPath: '/s', stockPath: null, beside: false, dialect: 'seed' },
};

describeDatabases('the queue', (databases) => {
  let books: Books;
  let runs: Runs;
  let claims: Claims;
  beforeEach(async () => {
    books = await databases.open();
    runs = new Runs(books.work);
    claims = new Claims(books.work, new Leases(books.work), runs);
  });
  const queueOf = (settings: Record<string, string>): Queue =>
    new Queue(new RunPlaces(books.work), new Leases(books.work), loadConfig(settings));
  const hostOf = async (name: string): Promise<number> => {
    const hosts = new Hosts(books.work);
    return (await hosts.create({ uuid: `uuid-${name}`, name }, ACCESS)).id;
  };
  /** A run of a VM of its own on that host. */
  const waiting = async (hostId: number, different: object = {}): Promise<{ id: string; vmId: number }> => {
    const vm = await aVm(books);
    await new Vms(books.work).change(vm.id, { hostId });
    const { run } = await runs.create(aRun(vm.id, different));
    return { id: run.id, vmId: vm.id };
  };
  const take = async ({ id, vmId }: { id: string; vmId: number }): Promise<Lease> =>
    ((await claims.take({ id, vmId, state: 'queued' }, 'other', 60_000)) as TakenRun).lease;
  const picked = async (queue: Queue): Promise<string[]> => (await queue.pick()).map(({ id }) => id);

  const pickedAnew = (queue: Queue): Promise<string[]> => {
    queue.heardOf('news');
    return picked(queue);
  };

  it('gives out as many places as there are, and says what the others wait for', async () => {
    const host = await hostOf('kvm1');
    const [first, second, third] = [await waiting(host), await waiting(host), await waiting(host)];
    await take(first);
    const queue = queueOf({ CHAINKEEPER_RUNS_PER_HOST: '2', CHAINKEEPER_FULLS_PERCENT: '100' });
    expect(await picked(queue)).toEqual([second.id]);
    expect([...(await queue.waits())]).toEqual([
      [third.id, { code: 'host-places', sentence: 'waits for host kvm1: 2 of 2 places are taken' }],
    ]);
  });

  it('is told in numbers: what waits and goes on, for how long, and what is due and was not seen', async () => {
    const figures = new Figures(books.work);
    expect(await figures.ofWork()).toEqual({
      ...{ runs: [], oldestQueuedSeconds: 0, overdue: 0, oldestDueSeconds: 0, leases: 0, repositories: [] },
    });
    const host = await hostOf('kvm1');
    const [first, second, third] = [await waiting(host), await waiting(host), await waiting(host)];
    await waiting(host, { kind: 'restore' });
    await take(first);
    const ago = (minutes: number): string =>
      new Date(Date.now() - minutes * 60_000).toISOString().replace('T', ' ').replace('Z', '');
    const set = (id: string, columns: string): Promise<unknown> =>
      books.dataSource.query(`UPDATE ck_runs SET ${columns} WHERE id = '${id}'`);
    await set(first.id, `created = '${ago(90)}'`);
    await set(second.id, `created = '${ago(60)}', not_before = '${ago(30)}'`);
    await set(third.id, `created = '${ago(60)}', not_before = '${ago(-30)}'`);
    await new Dues(books.work).replace(1, [
      { vmId: first.vmId, instant: new Date(), dueAt: new Date(Date.now() - 120_000) },
      { vmId: second.vmId, instant: new Date(), dueAt: new Date(Date.now() + 120_000) },
      { vmId: third.vmId, instant: null, dueAt: null },
    ]);
    const { runs: counted, oldestQueuedSeconds, oldestDueSeconds, ...rest } = await figures.ofWork();
    expect(counted.map(({ state, kind, count }) => `${state} ${kind} ${count}`).sort()).toEqual([
      ...['queued backup 2', 'queued restore 1', 'running backup 1'],
    ]);
    expect([oldestQueuedSeconds / 60, oldestDueSeconds / 60].map(Math.floor)).toEqual([30, 2]);
    expect(rest).toEqual({ overdue: 1, leases: 1, repositories: [] });
    expect(await figures.ofFleet()).toMatchObject({ vms: 4, oldestBackupSeconds: null });
  });

  it('knows of fulls: who has no bitmap, who is asked for one, and who is planned as one', async () => {
    const host = await hostOf('kvm1');
    const [planned, first, asked, incremental] = [
      await waiting(host),
      await waiting(host),
      await waiting(host, { requested: { mode: 'full', quiesce: false } }),
      await waiting(host),
    ];
    for (const { vmId } of [planned, asked, incremental]) await new Vms(books.work).setActiveCheckpoint(vmId, 'backup-1');
    const { epoch } = await take(planned);
    await runs.note({ id: planned.id, epoch }, { plan: { kind: 'full' } });
    const queue = queueOf({ CHAINKEEPER_RUNS_IN_ALL: '4', CHAINKEEPER_FULLS_PERCENT: '50' });
    expect(await picked(queue)).toEqual([first.id, incremental.id]);
    expect((await queue.waits()).get(asked.id)?.code).toBe('whole-fulls');
  });

  it('lets hosts take turns, counts a silent run for nothing, and keeps to VMs that nobody works on', async () => {
    const [one, two] = [await hostOf('kvm1'), await hostOf('kvm2')];
    const storm = [await waiting(one), await waiting(one), await waiting(one)];
    const guest = await waiting(two);
    const queue = queueOf({ CHAINKEEPER_RUNS_AT_ONCE: '1', CHAINKEEPER_RUNS_IN_ALL: '1', CHAINKEEPER_FULLS_PERCENT: '100' });
    const [first] = await queue.pick();
    expect(first?.id).toBe(storm[0]?.id);
    const { epoch } = await take(storm[0] as { id: string; vmId: number });
    queue.driven.add(storm[0]?.id ?? '');
    queue.began(first as Parameters<Queue['began']>[0]);
    expect(await picked(queue)).toEqual([]);
    // Its host keeps silent, and another run of its VM has to wait all the same.
    await runs.markUnknown({ id: storm[0]?.id ?? '', epoch }, 'c', 'm');
    queue.driven.clear();
    await runs.create(aRun(storm[0]?.vmId ?? 0));
    expect(await picked(queue)).toEqual([guest.id]);
    await new Leases(books.work).acquire(guest.vmId, 'somebody', 'a', 60_000);
    expect(await picked(queue)).toEqual([storm[1]?.id]);
    // Heard of again it has its place back, whoever asks.
    await runs.hearAgain({ id: storm[0]?.id ?? '', epoch });
    expect(await picked(queueOf({ CHAINKEEPER_RUNS_IN_ALL: '1', CHAINKEEPER_FULLS_PERCENT: '100' }))).toEqual([]);
  });

  it('keeps to limits that orchestrators share, though all have looked before anyone begins', async () => {
    const hosts = [await hostOf('kvm1'), await hostOf('kvm2')];
    for (let count = 0; count < 12; count += 1) await waiting(hosts[count % 2] ?? 0);
    const queues = Array.from({ length: 4 }, () =>
      queueOf({ CHAINKEEPER_RUNS_PER_HOST: '3', CHAINKEEPER_RUNS_IN_ALL: '5', CHAINKEEPER_FULLS_PERCENT: '100' }),
    );
    const picks = await Promise.all(queues.map((queue) => queue.pick()));
    expect(picks.map(({ length }) => length)).toEqual([5, 5, 5, 5]);
    // Each tries all that wait: those that it has not picked would be too many just as well.
    const rows = (await new RunPlaces(books.work).look()).rows;
    const begun = await Promise.all(
      queues.flatMap((queue, owner) =>
        rows.map(async (row) => {
          const taken = await claims.take(row, `owner-${owner}`, 60_000, () => queue.mayBegin(row));
          return taken && row.host;
        }),
      ),
    );
    const byHost = begun.filter((host) => host !== null).sort();
    expect(byHost.length).toBe(5);
    expect([3, 2]).toContain(byHost.filter((host) => host === 'kvm1').length);
  });

  it('takes what nobody has looked at since its host was restarted for a full', async () => {
    const host = await hostOf('kvm1');
    const hosts = new Hosts(books.work);
    const evidence = new Evidence(books.work);
    const look = (vmId: number): Promise<number> =>
      evidence.keepInspect({ vmId, runId: null, bitmap: null, facts: anInspection([]), verbatim: '{}' });
    const [first, second, third] = [await waiting(host), await waiting(host), await waiting(host)];
    for (const { vmId } of [first, second, third]) await new Vms(books.work).setActiveCheckpoint(vmId, 'backup-1');
    const queue = queueOf({ CHAINKEEPER_RUNS_PER_HOST: '2', CHAINKEEPER_FULLS_PERCENT: '50' });
    for (const { vmId } of [first, second]) await look(vmId);
    // Of a host that is seen for the first time nobody knows of a restart.
    expect([await hosts.noteBoot(host, 'a'), await hosts.noteBoot(host, 'a')]).toEqual([false, false]);
    expect(await picked(queue)).toEqual([first.id, second.id]);
    const other = new Hosts((await databases.reopen(books.config)).work);
    const told = await Promise.all([hosts.noteBoot(host, 'b'), other.noteBoot(host, 'b'), hosts.noteBoot(host, 'b')]);
    expect(told.filter(Boolean)).toHaveLength(1);
    expect(await pickedAnew(queue)).toEqual([first.id]);
    expect((await queue.waits()).get(second.id)?.code).toBe('host-fulls');
    await look(second.vmId);
    expect(await pickedAnew(queue)).toEqual([first.id, second.id]);
    await look(first.vmId);
    await take(first);
    expect(await pickedAnew(queue)).toEqual([second.id]);
  });

  it('has one look serve for all places that become free, until there is news', async () => {
    const host = await hostOf('kvm1');
    const due = { triggeredBy: 'schedule' };
    const [first, second, third] = [await waiting(host, due), await waiting(host, due), await waiting(host, due)];
    const queue = queueOf({ CHAINKEEPER_RUNS_AT_ONCE: '1' });
    expect(await picked(queue)).toEqual([first.id]);
    // Asked for by hand: it would go before all others.
    const urgent = await waiting(host, { triggeredBy: 'rest' });
    expect(await picked(queue)).toEqual([second.id]);
    queue.heardOf(third.id);
    expect(await picked(queue)).toEqual([third.id]);
    // The look knows of no more.
    expect(await picked(queue)).toEqual([urgent.id]);
    queue.heardOf('a run that it has not seen');
    expect(await picked(queue)).toEqual([urgent.id]);
    queue.driven.add(urgent.id);
    expect(await picked(queue)).toEqual([]);
  });

  it('draws lots of what may begin where others are quicker, and gives out no more places for it', async () => {
    const host = await hostOf('kvm1');
    const all: string[] = [];
    for (let count = 0; count < 40; count += 1) all.push((await waiting(host)).id);
    const firsts = async (lost: number): Promise<string[][]> =>
      Promise.all(
        Array.from({ length: 6 }, () => {
          const queue = queueOf({ CHAINKEEPER_RUNS_AT_ONCE: '4', CHAINKEEPER_FULLS_PERCENT: '50' });
          queue.lost(lost);
          return picked(queue);
        }),
      );
    expect(await firsts(0)).toEqual(Array.from({ length: 6 }, () => all.slice(0, 2)));
    const drawn = await firsts(1);
    expect(drawn.map(({ length }) => length)).toEqual(Array.from({ length: 6 }, () => 2));
    expect(new Set(drawn.flat()).size).toBeGreaterThan(4);
  });

  it('begins nothing on a host in maintenance, nor before its time', async () => {
    const host = await hostOf('kvm1');
    const [resting, later] = [await waiting(host), await waiting(await hostOf('kvm2'))];
    await new Hosts(books.work).change(host, { resourceState: 'Maintenance' });
    const { epoch } = await take(later);
    await runs.retryLater({ id: later.id, epoch }, { errorCode: 'c', errorMessage: 'm', warnings: [], afterMs: 60_000 });
    await new Leases(books.work).release({ vmId: later.vmId, runId: later.id, owner: 'other', epoch });
    const queue = queueOf({});
    expect(await picked(queue)).toEqual([]);
    const waits = await queue.waits();
    expect([waits.get(resting.id)?.code, waits.get(later.id)?.code]).toEqual(['host-maintenance', 'not-before']);
  });
});
