import { randomUUID } from 'node:crypto';
import { BackupRepositories } from '../../src/database/repositories/backup-repositories';
import { Backups } from '../../src/database/repositories/backups';
import { Hosts, type Access } from '../../src/database/repositories/hosts';
import { Links } from '../../src/database/repositories/links';
import { Offerings } from '../../src/database/repositories/offerings';
import { Vms } from '../../src/database/repositories/vms';
import { Volumes } from '../../src/database/repositories/volumes';
import { aBackup, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

const ACCESS: Access = {
  address: '192.0.2.7',
  port: 22,
  sshUser: 'chainkeeper',
  privateKeyFile: '/etc/chainkeeper/key',
  agentSocket: null,
  knownHostsFile: null,
  fingerprint: null,
  scriptPath: '/usr/local/lib/chainkeeper/nasbackup.sh',
  stockPath: null,
  beside: false,
  dialect: 'seed',
};
const REPOSITORY = { type: 'nfs', address: 'nas.example:/export', mountOpts: 'soft,timeo=100' };

describeDatabases('the inventory', (databases) => {
  let books: Books;
  let hosts: Hosts;
  let vms: Vms;
  let offerings: Offerings;
  let repositories: BackupRepositories;
  beforeAll(async () => {
    books = await databases.open();
    hosts = new Hosts(books.work);
    vms = new Vms(books.work);
    offerings = new Offerings(books.work);
    repositories = new BackupRepositories(books.work);
  });
  const name = (): string => `n-${randomUUID().slice(0, 8)}`;
  const aHost = (called = name()) => hosts.create({ uuid: randomUUID(), name: called }, ACCESS);
  const anOffering = (called = name(), externalId: string | null = null) =>
    offerings.create({ uuid: randomUUID(), name: called, description: null, externalId }, [
      { name: 'nas.backup.full.every', value: '10' },
    ]);
  const aRepository = (called = name()) => repositories.create({ uuid: randomUUID(), name: called, ...REPOSITORY });

  it('finds a thing by uuid or by name, exactly', async () => {
    const host = await aHost('Kvm-One');
    expect(await hosts.find(host.uuid ?? '')).toEqual(host);
    expect(await hosts.find('Kvm-One')).toEqual(host);
    expect(await hosts.find('kvm-one')).toBeNull();
    expect(await hosts.findById(host.id)).toEqual(host);
    const vm = await aVm(books);
    expect(await vms.find(vm.instanceName)).toEqual(vm);
    expect(await vms.find(vm.uuid ?? '')).toEqual(vm);
    // A name that looks like another's uuid is not mistaken for it.
    const impostor = await aRepository();
    const namesake = await aRepository(impostor.uuid);
    expect((await repositories.find(impostor.uuid))?.id).toBe(impostor.id);
    expect((await repositories.find(namesake.uuid))?.id).toBe(namesake.id);
  });

  it('has each name once among the living', async () => {
    const host = await aHost();
    await expect(aHost(host.name)).rejects.toMatchObject({ code: 'host.name-taken', kind: 'conflict' });
    await hosts.remove(host.id);
    await expect(aHost(host.name)).resolves.toMatchObject({ name: host.name });
    const [a, b] = [await anOffering(), await anOffering()];
    await expect(offerings.change(a.id, { name: b.name })).rejects.toMatchObject({ code: 'offering.name-taken' });
    expect(await offerings.change(a.id, { name: a.name, description: 'same name' })).toBe(true);
    const vm = await aVm(books);
    const twin = { uuid: randomUUID(), name: 'x', instanceName: vm.instanceName, hostId: null, state: 'Running' };
    await expect(vms.create(twin)).rejects.toMatchObject({ code: 'vm.name-taken' });
  });

  it('has each name once even when two are added at the same instant', async () => {
    const other = new BackupRepositories((await databases.reopen(books.config)).work);
    for (let round = 0; round < 5; round += 1) {
      const called = name();
      const add = (from: BackupRepositories) => from.create({ uuid: randomUUID(), name: called, ...REPOSITORY });
      const both = await Promise.allSettled([add(repositories), add(other)]);
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'repository.name-taken' } });
    }
  });

  it('does not let go of what is needed', async () => {
    const [host, repository] = [await aHost(), await aRepository()];
    const offering = await anOffering(name(), repository.uuid);
    const vm = await aVm(books);
    await vms.change(vm.id, { hostId: host.id });
    await vms.assignOffering(vm.id, offering.id);
    await expect(hosts.remove(host.id)).rejects.toMatchObject({ code: 'host.in-use' });
    await expect(repositories.remove(repository.id)).rejects.toMatchObject({ code: 'repository.in-use' });
    await expect(offerings.remove(offering.id)).rejects.toMatchObject({ code: 'offering.in-use' });
    expect(await vms.remove(vm.id)).toBe(true);
    expect([await hosts.remove(host.id), await offerings.remove(offering.id), await repositories.remove(repository.id)]).toEqual([
      true,
      true,
      true,
    ]);
    expect([await hosts.remove(host.id), await offerings.remove(offering.id), await repositories.remove(repository.id)]).toEqual([
      false,
      false,
      false,
    ]);
    expect(await vms.remove(vm.id)).toBe(false);
    expect([await hosts.find(host.name), await vms.find(vm.instanceName)]).toEqual([null, null]);
    // Old backups still point at them.
    expect([await vms.findById(vm.id), await offerings.findById(offering.id), await hosts.findById(host.id)]).toMatchObject([
      { removed: expect.any(Date) as Date },
      { removed: expect.any(Date) as Date },
      { removed: expect.any(Date) as Date },
    ]);
  });

  it('is listed in parts, newest first, the living only', async () => {
    const made = [await aHost(), await aHost(), await aHost()];
    await hosts.remove(made[1]?.id ?? 0);
    const first = await hosts.page({ limit: 1 });
    const second = await hosts.page({ limit: 1, after: first.next ?? 0 });
    expect([first.items[0]?.id, second.items[0]?.id]).toEqual([made[2]?.id, made[0]?.id]);
    await anOffering();
    expect((await offerings.page({ limit: 1 })).items[0]?.details.length).toBe(1);
    await aRepository();
    expect((await repositories.page({ limit: 1 })).items.length).toBe(1);
    await aVm(books);
    expect((await vms.page({ limit: 1 })).items.length).toBe(1);
  });

  it('knows how a host is reached and what lies there', async () => {
    const { id } = await aHost();
    await hosts.change(id, { resourceState: 'Maintenance' }, { address: 'kvm2.example', fingerprint: 'SHA256:abc' });
    expect(await hosts.recordInstall(id, '1.0.0', 'ab'.repeat(32))).toBe(true);
    const host = await hosts.findById(id);
    expect(host).toMatchObject({ resourceState: 'Maintenance', privateIpAddress: 'kvm2.example' });
    expect(host?.access).toMatchObject({ ...ACCESS, address: 'kvm2.example', fingerprint: 'SHA256:abc', scriptVersion: '1.0.0' });
    expect(Math.abs((host?.access.installedAt?.getTime() ?? 0) - Date.now())).toBeLessThan(5000);
    expect(await hosts.recordInstall(999_999, '1', 'x')).toBe(false);
    expect(await hosts.change(999_999, {}, { port: 23 })).toBe(false);
  });

  it('knows which script takes the backups, and that ours lies beside a stock one once it was installed', async () => {
    const { id } = await aHost();
    await hosts.change(id, {}, { stockPath: '/opt/nasbackup.sh', dialect: 'mid' });
    expect((await hosts.findById(id))?.access).toMatchObject({ stockPath: '/opt/nasbackup.sh', beside: false, dialect: 'mid' });
    await hosts.recordInstall(id, '1.0.0', 'ab'.repeat(32));
    expect((await hosts.findById(id))?.access).toMatchObject({ stockPath: '/opt/nasbackup.sh', beside: true });
    await hosts.change(id, {}, { stockPath: null, beside: false });
    await hosts.recordInstall(id, '1.0.1', 'ab'.repeat(32));
    expect((await hosts.findById(id))?.access).toMatchObject({ stockPath: null, beside: false });
  });

  it('adds up what each repository grew by since a moment, less what was removed since', async () => {
    const [one, other, empty] = [await aRepository(), await aRepository(), await aRepository()];
    const { id: offering } = await anOffering(name(), one.uuid);
    const { id: second } = await anOffering(name(), one.uuid);
    const { id: third } = await anOffering(name(), other.uuid);
    const vm = await aVm(books);
    const backups = new Backups(books.work);
    const take = (backupOfferingId: number, date: string, size: number | null): ReturnType<Backups['insert']> =>
      backups.insert(aBackup(vm.id, { backupOfferingId, date: new Date(date), size }), []);
    const old = await take(offering, '2026-01-02T03:04:05Z', 1000);
    await take(offering, '2026-11-01T00:00:00Z', 40);
    const gone = await take(second, '2026-11-02T00:00:00Z', 7);
    await take(second, '2026-11-03T00:00:00Z', null);
    await take(third, '2026-11-04T00:00:00Z', 3);
    const since = new Date('2026-10-31T00:00:00Z');
    const grown = (uuid = one.uuid): Promise<number> => repositories.growth(uuid, since);
    expect(await Promise.all([grown(), grown(other.uuid), grown(empty.uuid)])).toEqual([47, 3, 0]);
    // Where its run took it counts, wherever its offering points by now.
    const moved = await take(third, '2026-11-05T00:00:00Z', 100);
    const link = {
      runId: null,
      reason: 'regular',
      recreateMethod: null,
      assurance: 'accounted',
      assuranceWhy: 'it agrees',
    } as const;
    const about = { backupId: moved.id, backupUuid: moved.uuid, planned: { repositoryId: one.uuid } };
    await new Links(books.work).insert({ ...link, ...about });
    expect(await Promise.all([grown(), grown(other.uuid)])).toEqual([147, 3]);
    await backups.remove(gone.id);
    expect(await grown()).toBe(140);
    await backups.remove(old.id);
    expect(await grown()).toBe(-860);
  });

  it('keeps the way to a repository beside its row, which is CloudStack’s', async () => {
    const silent = await aRepository();
    const made = await repositories.create({ uuid: randomUUID(), name: name(), ...REPOSITORY }, { transfer: 'pull' });
    expect([silent, made].map(({ transfer, bandwidth }) => [transfer, bandwidth])).toEqual([
      [null, null],
      ['pull', null],
    ]);
    const way = async (): Promise<unknown> => (await repositories.find(made.uuid))?.transfer;
    expect([await repositories.change(made.id, {}, { transfer: 'auto' }), await way()]).toEqual([true, 'auto']);
    // Whoever changes something else says nothing of the way.
    expect([await repositories.change(made.id, { mountOpts: 'soft' }), await way()]).toEqual([true, 'auto']);
    const { items } = await repositories.page({ limit: 2 });
    expect(items.map(({ id, transfer }) => [id, transfer])).toEqual([
      [made.id, 'auto'],
      [silent.id, null],
    ]);
    expect([await repositories.change(made.id, {}, { transfer: null }), await way()]).toEqual([true, null]);
    expect(await repositories.change(999_999, {}, { transfer: 'pull' })).toBe(false);
    expect(await books.dataSource.query('SELECT repository_id FROM ck_repositories WHERE repository_id = 999999')).toEqual([]);
  });

  it('keeps the limit of a repository beside its way, each by itself', async () => {
    const { id, uuid, ...made } = await repositories.create(
      { uuid: randomUUID(), name: name(), ...REPOSITORY },
      { bandwidth: 40 },
    );
    expect(made).toMatchObject({ transfer: null, bandwidth: 40 });
    const after = async (way: Parameters<typeof repositories.change>[2]): Promise<unknown[]> => {
      expect(await repositories.change(id, {}, way)).toBe(true);
      const row = await repositories.find(uuid);
      return [row?.transfer, row?.bandwidth];
    };
    expect(await after({ transfer: 'auto' })).toEqual(['auto', 40]);
    expect(await after({ bandwidth: 999_999 })).toEqual(['auto', 999_999]);
    expect(await after({ transfer: null })).toEqual([null, 999_999]);
    expect(await after({})).toEqual([null, 999_999]);
    expect(await after({ bandwidth: null })).toEqual([null, null]);
    expect(await books.dataSource.query(`SELECT repository_id FROM ck_repositories WHERE repository_id = ${id}`)).toEqual([]);
  });

  it('keeps the settings of an offering, each once', async () => {
    const { id, details } = await anOffering();
    expect(details).toMatchObject([{ name: 'nas.backup.full.every', value: '10', display: true }]);
    const change = [
      { name: 'nas.backup.full.every', value: '5' },
      { name: 'nas.backup.incremental.enabled', value: 'true' },
    ];
    expect(await offerings.change(id, { description: 'd' }, change)).toBe(true);
    expect(await offerings.findById(id)).toMatchObject({ description: 'd', details: change });
    expect(await offerings.change(999_999, {}, change)).toBe(false);
  });

  it('forgets the active checkpoint when the offering comes or goes', async () => {
    const vm = await aVm(books);
    const offering = await anOffering();
    const active = async (): Promise<unknown> => vms.details(vm.id);
    for (const assigned of [offering.id, null]) {
      await vms.setActiveCheckpoint(vm.id, 'backup-1');
      expect(await active()).toMatchObject([{ name: 'nas.active_checkpoint_id', value: 'backup-1', display: false }]);
      expect(await vms.assignOffering(vm.id, assigned)).toBe(true);
      expect(await active()).toEqual([]);
      expect((await vms.findById(vm.id))?.backupOfferingId).toBe(assigned);
    }
    expect(await vms.assignOffering(999_999, offering.id)).toBe(false);
  });

  it('has one active checkpoint afterwards, however many rows there were before', async () => {
    const vm = await aVm(books);
    for (const value of ['a', 'b'])
      await books.dataSource.query(
        `INSERT INTO vm_instance_details (vm_id, name, value, display) VALUES (${vm.id}, 'nas.active_checkpoint_id', '${value}', 0)`,
      );
    expect((await vms.details(vm.id)).length).toBe(2);
    await vms.setActiveCheckpoint(vm.id, 'backup-2');
    expect(await vms.details(vm.id)).toMatchObject([{ value: 'backup-2' }]);
    await vms.setActiveCheckpoint(vm.id, null);
    expect(await vms.details(vm.id)).toEqual([]);
  });

  it('knows the disks of a VM: a disk keeps its place, a new one comes after, a gone one goes', async () => {
    const volumes = new Volumes(books.work);
    const { id } = await aVm(books);
    const longPath = `/${'deep/'.repeat(100)}web.qcow2`;
    const disk = (target: string, path: string, size: number | null) => ({ uuid: randomUUID(), target, path, size });
    const [vda, vdb, vdc] = [disk('vda', longPath, 100), disk('vdb', '/b', null), disk('vdc', '/c', 300)];
    await volumes.replace(id, [vda, vdb]);
    expect(await volumes.ofVm(id)).toEqual([
      { ...vda, deviceId: 0 },
      { ...vdb, deviceId: 1 },
    ]);
    // Seen in another order, with other uuids, moved, and not measured this time.
    await volumes.replace(id, [vdc, disk('vdb', '/moved', 200), disk('vda', longPath, null)]);
    expect(await volumes.ofVm(id)).toEqual([
      { ...vda, deviceId: 0 },
      { ...vdb, path: '/moved', size: 200, deviceId: 1 },
      { ...vdc, deviceId: 2 },
    ]);
    await volumes.replace(id, [disk('vda', longPath, 100), disk('vdc', '/c', 300)]);
    expect((await volumes.ofVm(id)).map(({ target, deviceId }) => [target, deviceId])).toEqual([
      ['vda', 0],
      ['vdc', 2],
    ]);
    const other = await aVm(books);
    const ofBoth = await volumes.ofVms([id, other.id]);
    expect([ofBoth(id).length, ofBoth(other.id).length]).toEqual([2, 0]);
  });
});
