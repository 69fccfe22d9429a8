import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type NewRestore, Restores } from '../../src/database/repositories/restores';
import { Runs } from '../../src/database/repositories/runs';
import { aRun, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

const OUTCOME = { v: 1, disks: [{ target: 'vda', identical: true }], text: 'ß 😀 "quoted" \\ \n' };

describeDatabases('restores', (databases) => {
  let books: Books;
  let runs: Runs;
  let restores: Restores;
  let vmId: number;
  beforeAll(async () => {
    books = await databases.open();
    [runs, restores] = [new Runs(books.work), new Restores(books.work)];
  });
  beforeEach(async () => {
    vmId = (await aVm(books)).id;
  });

  /** The run of a restore that waits; the VM has only this one. */
  const asked = async (backup = randomUUID()): Promise<string> =>
    (await runs.create(aRun(vmId, { kind: 'restore', requested: { backup } }))).run.id;
  const begun = async (over: Partial<NewRestore> = {}): Promise<string> => {
    const runId = await asked();
    await restores.begin({
      ...{ runId, backupId: 7, backupUuid: randomUUID(), vmId, way: 'in-place', assurance: 'accounted' },
      ...{ acceptedLevel: null, acceptedBy: null, acceptedWhy: null },
      ...over,
    });
    return runId;
  };
  const touched = async (vm = vmId): Promise<Date | null> => (await restores.lastOfVm(vm)).at;

  it('are written down as they begin and as they end, who took what for what it was worth among it', async () => {
    const accepted = { acceptedLevel: 'broken', acceptedBy: 'ü', acceptedWhy: OUTCOME.text } as const;
    const id = await begun({ ...accepted, assurance: 'broken', way: 'new-domain' });
    expect(await restores.find(id)).toMatchObject({
      run: { id, kind: 'restore', state: 'queued' },
      restore: {
        ...{ runId: id, vmId, backupId: 7, way: 'new-domain', assurance: 'broken', ...accepted },
        ...{ vmTouched: null, identical: null, outcome: null, created: expect.any(Date) as Date },
      },
    });
    await restores.end(id, { identical: true, outcome: OUTCOME, vmTouched: false });
    expect((await restores.find(id))?.restore).toMatchObject({ identical: true, outcome: OUTCOME, vmTouched: null });
    await expect(restores.begin({ ...((await restores.find(id))?.restore as NewRestore) })).rejects.toMatchObject({
      code: 'database.duplicate',
    });
  });

  it('one that has not been planned is there all the same; a run of another kind is none', async () => {
    const id = await asked();
    expect(await restores.find(id)).toMatchObject({ run: { id }, restore: null });
    const { run } = await runs.create(aRun(vmId));
    expect([await restores.find(run.id), await restores.find('none')]).toEqual([null, null]);
    expect((await restores.page({ limit: 10 }, { vmId })).items.map((item) => item.run.id)).toEqual([id]);
  });

  it('the VM is touched from before the host is told until somebody knows that it was not', async () => {
    const id = await begun();
    expect(await touched()).toBeNull();
    await restores.touchVm(id);
    const since = await touched();
    expect(since).toEqual(expect.any(Date));
    // Nobody knows: it stays so.
    await restores.end(id, { identical: null, outcome: null, vmTouched: null });
    expect(await touched()).toEqual(since);
    await restores.end(id, { identical: null, outcome: null, vmTouched: false });
    expect(await touched()).toBeNull();
    await restores.touchVm(id);
    const again = await touched();
    await sleep(20);
    await restores.end(id, { identical: true, outcome: OUTCOME, vmTouched: true });
    expect((await touched())?.getTime()).toBeGreaterThan(again?.getTime() ?? Infinity);
  });

  it('the last one that touched the VM counts, whichever began last, and none of another VM', async () => {
    const [first, second, third] = [await begun(), await begun(), await begun()];
    for (const id of [second, first]) {
      await restores.touchVm(id);
      await sleep(20);
    }
    const last = await touched();
    expect(last).toEqual((await restores.find(first))?.restore?.vmTouched);
    expect((await restores.find(third))?.restore?.vmTouched).toBeNull();
    expect(await touched((await aVm(books)).id)).toBeNull();
  });

  it('are paged, newest first, of a VM and of a backup', async () => {
    const backupUuid = randomUUID();
    const ids = [await begun(), await begun({ backupUuid }), await begun({ backupUuid }), await asked()].reverse();
    const other = (await aVm(books)).id;
    const page = async (limit: number, after?: number | null, only: object = { vmId }): Promise<[string[], number | null]> => {
      const { items, next } = await restores.page({ limit, ...(after == null ? {} : { after }) }, only);
      return [items.map(({ run }) => run.id), next];
    };
    const [first, next] = await page(3);
    expect([first, typeof next]).toEqual([ids.slice(0, 3), 'number']);
    expect(await page(3, next)).toEqual([ids.slice(3), null]);
    expect((await page(10, null, { backup: backupUuid }))[0]).toEqual(ids.slice(1, 3));
    expect((await page(10, null, { backup: backupUuid, vmId: other }))[0]).toEqual([]);
    const { items } = await restores.page({ limit: 10 }, { vmId });
    expect(items.map(({ restore }) => restore?.runId ?? null)).toEqual([null, ...ids.slice(1)]);
  });
});
