import { randomUUID } from 'node:crypto';
import { BackupRepositories } from '../../src/database/repositories/backup-repositories';
import { Backups } from '../../src/database/repositories/backups';
import { Events } from '../../src/database/repositories/events';
import { type Access, Hosts } from '../../src/database/repositories/hosts';
import { Maintenances } from '../../src/database/repositories/maintenances';
import { Manifests } from '../../src/database/repositories/manifests';
import { Offerings } from '../../src/database/repositories/offerings';
import { RunPlaces } from '../../src/database/repositories/run-places';
import { Leases } from '../../src/database/repositories/leases';
import { Claims } from '../../src/database/repositories/claims';
import { Runs } from '../../src/database/repositories/runs';
import { Vms } from '../../src/database/repositories/vms';
import { Queue } from '../../src/engine/queue';
import { loadConfig } from '../../src/platform/config/load-config';
import { aBackup, aRun, aVm } from '../support/books';
import { type Books, describeDatabases } from '../support/databases';

const ACCESS: Access = {
  ...{ address: '10.0.0.1', port: 22, sshUser: 'root', privateKeyFile: null, agentSocket: null, knownHostsFile: null },
  ...{ fingerprint: null, scriptPath: '/s', stockPath: null, beside: false, dialect: 'seed' },
};
const SAID = { begunBy: 'alice', why: 'new disks', running: 'finish' } as const;

interface Owner {
  readonly owner: 'host' | 'repository';
  readonly ownerId: number;
  readonly uuid: string;
  readonly name: string;
}

describeDatabases('maintenance', (databases) => {
  let books: Books;
  let maintenances: Maintenances;
  let runs: Runs;
  beforeEach(async () => {
    books = await databases.open();
    maintenances = new Maintenances(books.work);
    runs = new Runs(books.work);
  });
  const aHost = async (name: string): Promise<Owner> => {
    const { id, uuid } = await new Hosts(books.work).create({ uuid: `uuid-${name}`, name }, ACCESS);
    return { owner: 'host', ownerId: id, uuid: uuid ?? '', name };
  };
  const aRepository = async (name: string): Promise<Owner & { offeringId: number }> => {
    const uuid = randomUUID();
    const repositories = new BackupRepositories(books.work);
    const { id } = await repositories.create({ uuid, name, type: 'dir', address: `/${name}`, mountOpts: '' });
    const offering = await new Offerings(books.work).create(
      { uuid: randomUUID(), name: `to-${name}`, description: null, externalId: uuid },
      [],
    );
    return { owner: 'repository', ownerId: id, uuid, name, offeringId: offering.id };
  };
  const vmOf = async (host: Owner, offeringId: number): Promise<number> => {
    const { id } = await aVm(books);
    await new Vms(books.work).change(id, { hostId: host.ownerId });
    await new Vms(books.work).assignOffering(id, offeringId);
    return id;
  };
  const codes = async (): Promise<Record<string, string>> => {
    const waits = await new Queue(new RunPlaces(books.work), new Leases(books.work), loadConfig({})).waits();
    return Object.fromEntries([...waits].map(([id, { sentence }]) => [id, sentence]));
  };

  it('is said once, changed when it is said again, and told when it begins and ends', async () => {
    const hosts = new Hosts(books.work);
    const host = await aHost('kvm1');
    await maintenances.begin(host, SAID);
    const begun = (await hosts.find('kvm1'))?.maintenance;
    expect(begun).toMatchObject({ ...SAID, since: expect.any(Date) as Date });
    await maintenances.begin(host, { ...SAID, running: 'abort' });
    expect((await hosts.find('kvm1'))?.maintenance).toEqual({ ...begun, running: 'abort' });
    await maintenances.end(host);
    await maintenances.end(host);
    expect((await hosts.find('kvm1'))?.maintenance).toBeNull();
    const { items } = await new Events(books.work).page({ limit: 10 });
    expect(items.map(({ kind, hostId, facts }) => ({ kind, hostId, facts }))).toEqual(
      ['maintenance-ended', 'maintenance-begun'].map((kind) => ({ kind, hostId: host.ownerId, facts: { host: 'kvm1' } })),
    );
  });

  it('lets wait what writes to a repository or reads from it, wherever its VM is backed up to now', async () => {
    const host = await aHost('kvm1');
    const [old, now] = [await aRepository('old'), await aRepository('now')];
    // Both VMs are backed up elsewhere by now; what one of them has is still there.
    const [moved, other] = [await vmOf(host, now.offeringId), await vmOf(host, now.offeringId)];
    const [there, elsewhere] = await Promise.all(
      [old, now].map(({ offeringId }) => new Backups(books.work).insert(aBackup(moved, { backupOfferingId: offeringId }), [])),
    );
    const run = async (vmId: number, kind: 'backup' | 'delete' | 'retention' | 'restore', requested: object): Promise<string> =>
      (await runs.create(aRun(vmId, { kind, requested }))).run.id;
    const made = {
      backup: await run(moved, 'backup', { mode: 'auto' }),
      restore: await run(moved, 'restore', { way: 'new-disks', backup: there?.uuid, host: null }),
      elsewhere: await run(moved, 'restore', { way: 'new-disks', backup: elsewhere?.uuid, host: null }),
      deletion: await run(moved, 'delete', { backup: there?.uuid }),
      retention: await run(moved, 'retention', { planId: null, rules: null }),
      other: await run(other, 'retention', { planId: null, rules: null }),
    };
    const resting = async (name: string): Promise<string[]> => {
      const waits = await codes();
      return Object.entries(made).flatMap(([what, id]) =>
        waits[id] === `waits for repository ${name}: in maintenance` ? [what] : [],
      );
    };
    const { rows } = await new RunPlaces(books.work).look(null, { repository: old });
    const would = rows.flatMap(({ id, resting: { repositories } }) => (repositories.includes('old') ? [id] : []));
    expect(would).toEqual([made.restore, made.deletion, made.retention]);
    expect(await resting('old')).toEqual([]);
    await maintenances.begin(old, SAID);
    expect(await resting('old')).toEqual(['restore', 'deletion', 'retention']);
    await maintenances.end(old);
    await maintenances.begin(now, SAID);
    expect(await resting('now')).toEqual(['backup', 'elsewhere', 'retention']);
  });

  it('lets wait what needs a host: backups and restores in place there, and restores to which it was named', async () => {
    const [host, other] = [await aHost('kvm1'), await aHost('kvm2')];
    const { offeringId } = await aRepository('nas1');
    const vm = async (): Promise<number> => vmOf(other, offeringId);
    const restore = (requested: object) => ({ kind: 'restore' as const, requested });
    const ids = [
      (await runs.create(aRun(await vmOf(host, offeringId)))).run.id,
      (await runs.create(aRun(await vmOf(host, offeringId), restore({ way: 'in-place', host: null })))).run.id,
      (await runs.create(aRun(await vm(), restore({ way: 'new-disks', host: 'kvm1' })))).run.id,
      (await runs.create(aRun(await vm(), restore({ way: 'new-disks', host: 'uuid-kvm1' })))).run.id,
    ];
    await runs.create(aRun(await vmOf(host, offeringId), restore({ way: 'new-disks', host: null })));
    await runs.create(aRun(await vm()));
    expect(await codes()).toEqual({});
    await maintenances.begin(host, SAID);
    expect(await codes()).toEqual(Object.fromEntries(ids.map((id) => [id, 'waits for host kvm1: in maintenance'])));
  });

  it('leaves backups there out of what the upkeep looks for, and counts those that are read', async () => {
    const host = await aHost('kvm1');
    const [one, two] = [await aRepository('one'), await aRepository('two')];
    const vmId = await vmOf(host, one.offeringId);
    const backup = (backupOfferingId: number) => new Backups(books.work).insert(aBackup(vmId, { backupOfferingId }), []);
    const [resting, usual] = [await backup(one.offeringId), await backup(two.offeringId)];
    await backup(999);
    const manifests = new Manifests(books.work);
    const wanted = async (): Promise<number[][]> =>
      [await manifests.unwritten(10), await manifests.unhashed(10)].map((all) => all.map(({ id }) => id));
    const all = [resting.id, usual.id, usual.id + 1];
    expect(await wanted()).toEqual([all, all]);
    await maintenances.begin(one, SAID);
    expect(await wanted()).toEqual([all.slice(1), all.slice(1)]);
    await manifests.beginHash(resting.id, { id: 'job', verifies: false });
    expect([await manifests.countHashing(one.uuid), await manifests.countHashing(two.uuid)]).toEqual([1, 0]);
  });

  it('puts a run back that was taken and has begun nothing, and counts no attempt', async () => {
    const vmId = await vmOf(await aHost('kvm1'), (await aRepository('nas1')).offeringId);
    const { run } = await runs.create(aRun(vmId));
    const leases = new Leases(books.work);
    const claims = new Claims(books.work, leases, runs);
    const take = async (): Promise<number> => {
      const taken = await claims.take(run, 'one', 60_000);
      if (taken === null) throw new Error('it can be taken');
      await leases.release(taken.lease);
      return taken.lease.epoch;
    };
    const epoch = await take();
    expect(await runs.putBack({ id: run.id, epoch: epoch - 1 }, 'host.maintenance', 'm')).toBe(false);
    expect(await runs.putBack({ id: run.id, epoch }, 'host.maintenance', 'm')).toBe(true);
    expect(await runs.find(run.id)).toMatchObject({ state: 'queued', attempt: 0, notBefore: null, owner: null, started: null });
    // Who wants it to stop does not want it to wait.
    const again = await take();
    await runs.askToAbort(run.id);
    expect(await runs.putBack({ id: run.id, epoch: again }, 'host.maintenance', 'm')).toBe(false);
  });
});
