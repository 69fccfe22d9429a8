import { Leases } from '../../src/database/repositories/leases';
import { Resizes } from '../../src/database/repositories/resizes';
import { Runs } from '../../src/database/repositories/runs';
import { aRun, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

const GIB = 1024 ** 3;

describeDatabases('what we are told of sizes', (databases) => {
  let books: Books;
  let resizes: Resizes;
  let vmId: number;
  beforeAll(async () => {
    books = await databases.open();
    resizes = new Resizes(books.work);
  });
  beforeEach(async () => {
    vmId = (await aVm(books)).id;
  });

  it('is kept in order, of each VM, and once when it is told twice in a row', async () => {
    const shrank = { vmId, target: 'vda', sizeFrom: 2 * GIB, sizeTo: GIB };
    const grew = { vmId, target: 'vda', sizeFrom: GIB, sizeTo: 2 * GIB };
    const first = await resizes.add(shrank);
    expect(await resizes.add(shrank)).toEqual(first);
    for (const resize of [{ ...shrank, target: 'vdb' }, grew, shrank]) await resizes.add(resize);
    await resizes.add({ ...shrank, vmId: (await aVm(books)).id });
    expect((await resizes.ofVm(vmId)).map(({ target, sizeTo }) => [target, sizeTo])).toEqual([
      ['vda', GIB],
      ['vdb', GIB],
      ['vda', 2 * GIB],
      ['vda', GIB],
    ]);
    expect(first).toMatchObject({ ...shrank, runId: null, at: expect.any(Date) as Date });
  });

  it('names the backup that goes on meanwhile, and no other run', async () => {
    const runs = new Runs(books.work);
    const run = aRun(vmId);
    await runs.create(run);
    const told = { vmId, target: 'vda', sizeFrom: GIB, sizeTo: 2 * GIB };
    expect((await resizes.add(told)).runId).toBeNull();
    const answer = await new Leases(books.work).acquire(vmId, run.id, 'a', 60_000);
    if (answer.kind !== 'held' || (await runs.claim(answer.lease)) === null) throw new Error('it was not taken');
    expect((await resizes.add({ ...told, target: 'vdb' })).runId).toBe(run.id);
    await runs.end({ id: run.id, epoch: answer.lease.epoch }, { state: 'failed' });
    expect((await resizes.add({ ...told, target: 'vdc' })).runId).toBeNull();
  });
});
