import { RetentionPolicies } from '../../src/database/repositories/retention-policies';
import { Runs } from '../../src/database/repositories/runs';
import { Schedules } from '../../src/database/repositories/schedules';
import { NO_WISH } from '../../src/domain/retention/retention-rules';
import { aRun, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

describeDatabases('retention policies', (databases) => {
  let books: Books;
  let policies: RetentionPolicies;
  beforeAll(async () => {
    books = await databases.open();
    policies = new RetentionPolicies(books.work);
  });

  it('say what was said, and nothing of the rest', async () => {
    const owner = { owner: 'vm', ownerId: 7 } as const;
    expect(await policies.find(owner)).toBeNull();
    await policies.set(owner, { ...NO_WISH, keepDaily: 7, keepLast: 0, zone: 'America/Argentina/Buenos_Aires', manual: false });
    const said = await policies.find(owner);
    expect(said).toEqual({
      ...NO_WISH,
      ...owner,
      ...{ keepDaily: 7, keepLast: 0, zone: 'America/Argentina/Buenos_Aires', manual: false },
      changed: expect.any(Date) as Date,
    });
    expect(Math.abs((said?.changed.getTime() ?? 0) - Date.now())).toBeLessThan(5000);
  });

  it('of a VM and of an offering with the same number are two; each takes the place of the one before', async () => {
    const [vm, offering] = [{ owner: 'vm', ownerId: 8 } as const, { owner: 'offering', ownerId: 8 } as const];
    await policies.set(vm, { ...NO_WISH, keepLast: 1 });
    await policies.set(offering, { ...NO_WISH, keepLast: 2, manual: true });
    await policies.set(vm, { ...NO_WISH, keepWeekly: 3 });
    expect(await policies.find(vm)).toMatchObject({ keepLast: null, keepWeekly: 3 });
    expect([await policies.clear(vm), await policies.clear(vm)]).toEqual([true, false]);
    expect(await policies.find(vm)).toBeNull();
    expect(await policies.find(offering)).toMatchObject({ keepLast: 2, manual: true });
  });

  it('go by CloudStack’s schedules of a VM, and by who asked for a run', async () => {
    const [vm, other] = [await aVm(books), await aVm(books)];
    for (const [uuid, type, max] of [
      ['s1', 1, 7],
      ['s2', 2, 0],
    ] as const)
      await books.dataSource.query(
        `INSERT INTO backup_schedule (uuid, vm_id, schedule_type, max_backups) VALUES ('${uuid}', ${vm.id}, ${type}, ${max})`,
      );
    const schedules = new Schedules(books.work);
    expect(await schedules.ofVm(vm.id)).toMatchObject([
      { uuid: 's1', scheduleType: 1, maxBackups: 7 },
      { uuid: 's2', scheduleType: 2, maxBackups: 0 },
    ]);
    expect(await schedules.ofVm(other.id)).toEqual([]);
    const runs = new Runs(books.work);
    const [asked, due] = [aRun(vm.id), aRun(other.id, { triggeredBy: 'schedule' })];
    await runs.create(asked);
    await runs.create(due);
    expect(await runs.triggers([asked.id, due.id, 'none'])).toEqual(
      new Map([
        [asked.id, 'rest'],
        [due.id, 'schedule'],
      ]),
    );
    expect(await runs.triggers([])).toEqual(new Map());
  });
});
