import { randomUUID } from 'node:crypto';
import { Backups } from '../../src/database/repositories/backups';
import { Manifests } from '../../src/database/repositories/manifests';
import { aBackup, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

describeDatabases('files that are not as they were', (databases) => {
  let books: Books;
  let manifests: Manifests;
  let id: number;
  beforeAll(async () => {
    books = await databases.open();
    manifests = new Manifests(books.work);
  });
  beforeEach(async () => {
    const { id: vmId } = await aVm(books);
    ({ id } = await new Backups(books.work).insert(aBackup(vmId), []));
  });
  const ends = async (differs: readonly string[] | null, missing: readonly string[] | null): Promise<void> => {
    const job = await manifests.beginHash(id, { id: randomUUID(), verifies: differs !== null });
    await manifests.hashed(id, job, differs, missing);
  };

  it('what is met on the way comes to what is known, and is news once', async () => {
    expect(await manifests.spoilt(id, { damaged: ['b'], missing: [] })).toBe(true);
    expect(await manifests.find(id)).toMatchObject({ damaged: ['b'], missing: null, verified: expect.any(Date) as Date });
    expect(await manifests.spoilt(id, { damaged: ['a', 'b'], missing: ['ü'] })).toBe(true);
    expect(await manifests.spoilt(id, { damaged: ['a'], missing: ['ü'] })).toBe(false);
    expect(await manifests.find(id)).toMatchObject({ damaged: ['b', 'a'], missing: ['ü'] });
  });

  it('whoever looks at all of them has the last word, on what was looked at', async () => {
    await manifests.spoilt(id, { damaged: ['a'], missing: ['b'] });
    await ends(null, null);
    expect(await manifests.find(id)).toMatchObject({ damaged: ['a'], missing: ['b'] });
    await ends(null, []);
    expect(await manifests.find(id)).toMatchObject({ damaged: ['a'], missing: null });
    await ends([], ['c']);
    expect(await manifests.find(id)).toMatchObject({ damaged: null, missing: ['c'] });
    await ends([], []);
    expect(await manifests.find(id)).toMatchObject({ damaged: null, missing: null });
  });
});
