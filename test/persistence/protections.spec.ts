import { Backups } from '../../src/database/repositories/backups';
import { Protections } from '../../src/database/repositories/protections';
import { aBackup, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

describeDatabases('a protection', (databases) => {
  let books: Books;
  let protections: Protections;
  let backupId: number;
  const said = { protectedBy: 'ops', why: 'court order' };
  const until = (offsetMs: number): Date => new Date(Math.floor((Date.now() + offsetMs) / 1000) * 1000);
  const holding = async (ids: number[]): Promise<unknown[]> => {
    const backups = await Promise.all(ids.map((id) => new Backups(books.work).findById(id)));
    return backups.flatMap((backup) => backup?.protection ?? []);
  };
  beforeAll(async () => {
    books = await databases.open();
    protections = new Protections(books.work);
  });
  beforeEach(async () => {
    backupId = (await new Backups(books.work).insert(aBackup((await aVm(books)).id), [])).id;
  });

  it('holds until it is taken back, and only for its backup', async () => {
    await protections.set({ backupId, until: null, ...said });
    expect(await holding([backupId, 999_999])).toEqual([{ backupId, until: null, ...said, created: expect.any(Date) as Date }]);
    expect(await holding([])).toEqual([]);
    expect([await protections.remove(backupId), await protections.remove(backupId)]).toEqual([true, false]);
    expect(await holding([backupId])).toEqual([]);
  });

  it('holds until its time, by the clock of the database', async () => {
    await protections.set({ backupId, until: until(60_000), ...said });
    expect(await holding([backupId])).toMatchObject([{ until: expect.any(Date) as Date }]);
    await protections.set({ backupId, until: until(-2000), ...said });
    expect(await holding([backupId])).toEqual([]);
  });

  it('takes the place of the one before', async () => {
    await protections.set({ backupId, until: null, ...said });
    await protections.set({ backupId, until: null, protectedBy: 'legal', why: 'another order' });
    expect(await holding([backupId])).toMatchObject([{ protectedBy: 'legal', why: 'another order' }]);
  });
});
