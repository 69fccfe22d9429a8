import { BackupDetailRow } from '../../src/database/entities/backup-detail-row';
import { Backups, type BookedBackup } from '../../src/database/repositories/backups';
import { LinkRow } from '../../src/database/entities/link-row';
import { Links } from '../../src/database/repositories/links';
import { aBackup, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

const FULL = [
  { name: 'nas.bitmap_name', value: 'backup-1777297500' },
  { name: 'nas.chain_id', value: '0d4c' },
  { name: 'nas.chain_position', value: '0' },
  { name: 'nas.type', value: 'full' },
];
const pairs = ({ details }: BookedBackup): object[] => details.map(({ name, value }) => ({ name, value }));

describeDatabases('a backup', (databases) => {
  let books: Books;
  let backups: Backups;
  let vmId: number;
  beforeAll(async () => {
    books = await databases.open();
    backups = new Backups(books.work);
  });
  beforeEach(async () => {
    vmId = (await aVm(books)).id;
  });

  it('goes in with its details, shown to users as upstream', async () => {
    const asked = aBackup(vmId);
    const { id, uuid } = await backups.insert(asked, FULL);
    const booked = (await backups.findById(id)) as BookedBackup;
    expect(booked).toMatchObject({ ...asked, id, uuid });
    expect(pairs(booked)).toEqual(FULL);
    expect(booked.details.every(({ display }) => display)).toBe(true);
    expect(await backups.findByUuid(uuid)).toEqual(booked);
    expect(await backups.findByUuid('none')).toBeNull();
  });

  it('has a uuid of its own', async () => {
    const { uuid } = await backups.insert(aBackup(vmId), FULL);
    await expect(backups.insert(aBackup(vmId, { uuid }), FULL)).rejects.toMatchObject({
      code: 'database.duplicate',
      kind: 'conflict',
    });
    expect((await backups.listByVm(vmId)).length).toBe(1);
  });

  it('belongs to a VM that is there', async () => {
    await expect(backups.insert(aBackup(999_999), FULL)).rejects.toMatchObject({ code: 'database.reference' });
  });

  it('changes with its details: a named one replaces all of its name, the others stay', async () => {
    const { id } = await backups.insert(aBackup(vmId, { status: 'BackingUp', size: 0 }), FULL);
    await backups.change(id, {}, [{ name: 'nas.type', value: 'b' }]);
    await addDetail(id, 'nas.type', 'c');
    expect(await backups.change(id, { status: 'BackedUp', size: 7 }, [{ name: 'nas.type', value: 'incremental' }])).toBe(true);
    const booked = (await backups.findById(id)) as BookedBackup;
    expect(booked).toMatchObject({ status: 'BackedUp', size: 7 });
    expect(pairs(booked)).toEqual([...FULL.slice(0, 3), { name: 'nas.type', value: 'incremental' }]);
    expect(await backups.change(999_999, { status: 'Failed' })).toBe(false);
  });

  it('does not change in half', async () => {
    const { id } = await backups.insert(aBackup(vmId), FULL);
    const bad = [{ name: null as unknown as string, value: 'x' }];
    await expect(backups.change(id, { status: 'Failed' }, bad)).rejects.toMatchObject({ code: 'database.refused' });
    expect(await backups.findById(id)).toMatchObject({ status: 'BackedUp' });
  });

  it('is read as it is: duplicates, unknown keys, no keys at all, unknown status', async () => {
    const { id } = await backups.insert(aBackup(vmId, { status: 'Hidden', date: null, size: null, externalId: null }), []);
    expect(pairs((await backups.findById(id)) as BookedBackup)).toEqual([]);
    for (const value of ['0', '0', '1']) await addDetail(id, 'nas.chain_position', value);
    await addDetail(id, 'nas.invented_tomorrow', '');
    const [booked] = await backups.listByVm(vmId);
    expect(booked).toMatchObject({ status: 'Hidden', date: null, size: null });
    expect(booked?.details.map(({ value }) => value)).toEqual(['0', '0', '1', '']);
  });

  it('is listed newest first, by date and then by id, without those removed unless asked for', async () => {
    const at = (date: string): ReturnType<Backups['insert']> => backups.insert(aBackup(vmId, { date: new Date(date) }), FULL);
    const [b, a, c, d] = [
      await at('2026-01-02T00:00:00Z'),
      await at('2026-01-01T00:00:00Z'),
      await at('2026-01-03T00:00:00Z'),
      await at('2026-01-03T00:00:00Z'),
    ];
    expect((await backups.listByVm(vmId)).map(({ id }) => id)).toEqual([d.id, c.id, b.id, a.id]);
    expect(await backups.remove(c.id)).toBe(true);
    expect(await backups.remove(c.id)).toBe(false);
    expect((await backups.listByVm(vmId)).map(({ id }) => id)).toEqual([d.id, b.id, a.id]);
    const all = await backups.listByVm(vmId, { removed: true });
    expect(all.map(({ id }) => id)).toEqual([d.id, c.id, b.id, a.id]);
    expect(all[1]?.removed).toBeInstanceOf(Date);
    expect(pairs(all[1] as BookedBackup)).toEqual(FULL);
  });

  it('is listed in parts, with its details', async () => {
    const made: number[] = [];
    for (let i = 0; i < 5; i += 1) made.unshift((await backups.insert(aBackup(vmId), FULL)).id);
    const first = await backups.page({ limit: 3 }, { vmId });
    const second = await backups.page({ limit: 3, after: first.next ?? 0 }, { vmId });
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(made);
    expect(second.next).toBeNull();
    expect(pairs(second.items[1] as BookedBackup)).toEqual(FULL);
    expect((await backups.page({ limit: 1 })).items.length).toBe(1);
  });

  it('keeps its reason when somebody else deletes it for good', async () => {
    const links = new Links(books.work);
    const { id, uuid } = await backups.insert(aBackup(vmId), FULL);
    const link = {
      backupId: id,
      backupUuid: uuid,
      runId: 'r',
      reason: 'no-parent',
      recreateMethod: null,
      planned: { kind: 'full' },
    };
    await links.insert({ ...link, assurance: 'accounted', assuranceWhy: null });
    await books.dataSource.query(`DELETE FROM backups WHERE id = ${id}`);
    expect(await books.work.read((manager) => manager.countBy(BackupDetailRow, { backupId: id }))).toBe(0);
    expect(await linkOf(id)).toMatchObject([{ ...link, assuranceAtBirth: 'accounted', assurance: 'accounted' }]);
  });

  it('keeps what was said of it at birth when a witness says otherwise', async () => {
    const links = new Links(books.work);
    const { id, uuid } = await backups.insert(aBackup(vmId), FULL);
    const about = { backupId: id, backupUuid: uuid, runId: null, reason: 'regular', recreateMethod: 'redefined', planned: null };
    await links.insert({ ...about, assurance: 'accounted', assuranceWhy: null });
    expect(await links.setAssurance(id, 'broken', 'The file is missing.')).toBe(true);
    const [link] = await linkOf(id);
    expect(link).toMatchObject({ assuranceAtBirth: 'accounted', assurance: 'broken', assuranceWhy: 'The file is missing.' });
    expect(await links.setAssurance(999_999, 'broken', 'x')).toBe(false);
    await expect(links.insert({ ...about, assurance: 'proven', assuranceWhy: null })).rejects.toMatchObject({
      code: 'database.duplicate',
    });
  });

  const linkOf = (backupId: number): Promise<LinkRow[]> => books.work.read((manager) => manager.findBy(LinkRow, { backupId }));
  const addDetail = (backupId: number, name: string, value: string): Promise<unknown> =>
    books.work.run((manager) => manager.insert(BackupDetailRow, { backupId, name, value, display: true }));
});
