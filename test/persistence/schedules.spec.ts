import { randomUUID } from 'node:crypto';
import { Dues } from '../../src/database/repositories/dues';
import { Events } from '../../src/database/repositories/events';
import { Runs } from '../../src/database/repositories/runs';
import { type NewSchedule, Schedules } from '../../src/database/repositories/schedules';
import { StartRules } from '../../src/database/repositories/start-rules';
import { aRun, aVm } from '../support/books';
import { type Books, describeDatabases } from '../support/databases';

const DAILY = { scheduleType: 1, schedule: '30:02', timezone: 'Europe/Rome', maxBackups: 7, quiescevm: true };
const at = (text: string): Date => new Date(text);

describeDatabases('schedules', (databases) => {
  let books: Books;
  let schedules: Schedules;
  let dues: Dues;
  beforeAll(async () => {
    books = await databases.open();
    schedules = new Schedules(books.work);
    dues = new Dues(books.work);
  });
  const aSchedule = (vmId: number | null, different: Partial<NewSchedule> = {}): NewSchedule => ({
    ...{ id: randomUUID(), vmId, offeringId: null, own: {}, cloudstack: null },
    ...different,
  });
  const nextUp = async (scheduleSeq: number): Promise<unknown[]> =>
    (await dues.ready(100))
      .filter((due) => due.scheduleSeq === scheduleSeq)
      .map(({ vmId, instant }) => [vmId, instant.toISOString()]);

  it('in CloudStack’s notation lie in its own row; what that has no column for beside it', async () => {
    const vm = await aVm(books);
    const made = await schedules.create(aSchedule(vm.id, { cloudstack: DAILY, own: { jitterSeconds: 600, missed: 'skip' } }));
    expect(made).toMatchObject({
      vmId: vm.id,
      cron: null,
      timezone: null,
      jitterSeconds: 600,
      missed: 'skip',
      paused: null,
    });
    expect(made.cloudstack).toMatchObject({ ...DAILY, vmId: vm.id, uuid: made.id });
    expect(await schedules.ofVm(vm.id)).toMatchObject([DAILY]);

    expect(await schedules.change(made.id, { graceSeconds: 60 }, { schedule: '00:03' })).toBe(true);
    const changed = await schedules.find(made.id);
    expect(changed).toMatchObject({ graceSeconds: 60, jitterSeconds: 600, cloudstack: { schedule: '00:03', maxBackups: 7 } });
    expect(await schedules.change('none', { graceSeconds: 1 })).toBe(false);

    await dues.replace(made.seq, [{ vmId: vm.id, instant: at('2026-01-01T00:00:00Z'), dueAt: at('2026-01-01T00:01:00Z') }]);
    expect([await schedules.remove(made.id), await schedules.remove(made.id)]).toEqual([true, false]);
    expect([await schedules.find(made.id), await schedules.ofVm(vm.id), await dues.ofVms([vm.id])]).toEqual([null, [], []]);
  });

  it('of a VM and of its offering both hold for it; with what is next and who asks, in pages', async () => {
    const [vm, other] = [await aVm(books), await aVm(books)];
    const own = await schedules.create(aSchedule(vm.id, { own: { cron: '*/15 * * * *', timezone: 'UTC' } }));
    const offered = await schedules.create(aSchedule(null, { offeringId: 4711, own: { cron: '0 1 * * 6', timezone: 'UTC' } }));
    expect((await schedules.holding(vm.id, 4711)).map(({ id }) => id)).toEqual([own.id, offered.id]);
    expect((await schedules.holding(vm.id, null)).map(({ id }) => id)).toEqual([own.id]);
    expect(await schedules.holding(other.id, 4712)).toEqual([]);
    expect((await schedules.page({ limit: 5 }, { offeringId: 4711 })).items.map(({ id }) => id)).toEqual([offered.id]);
    const first = await schedules.page({ limit: 1 });
    expect([first.items[0]?.id, (await schedules.page({ limit: 1, after: first.next ?? 0 })).items[0]?.id]).toEqual([
      offered.id,
      own.id,
    ]);
  });

  it('that somebody else has put into CloudStack’s table are taken up once', async () => {
    const vm = await aVm(books);
    await books.dataSource.query(
      `INSERT INTO backup_schedule (uuid, vm_id, schedule_type, schedule, timezone) VALUES ('theirs', ${vm.id}, 0, '15', 'UTC')`,
    );
    expect([await schedules.adoptRows(), await schedules.adoptRows()]).toEqual([1, 0]);
    expect(await schedules.find('theirs')).toMatchObject({ vmId: vm.id, missed: 'run-once', cloudstack: { schedule: '15' } });
  });

  it('are due by the database’s clock, and one of two that move on wins', async () => {
    const [vm, later, never] = [await aVm(books), await aVm(books), await aVm(books)];
    const { seq } = await schedules.create(aSchedule(vm.id));
    const instant = at('2026-03-01T00:00:00.000Z');
    await dues.replace(seq, [
      { vmId: vm.id, instant, dueAt: at('2026-03-01T00:00:07.125Z') },
      { vmId: later.id, instant: at('2999-01-01T00:00:00Z'), dueAt: at('2999-01-01T00:00:00Z') },
      { vmId: never.id, instant: null, dueAt: null },
    ]);
    expect(await nextUp(seq)).toEqual([[vm.id, '2026-03-01T00:00:00.000Z']]);
    const [due] = (await dues.ready(100)).filter(({ scheduleSeq }) => scheduleSeq === seq);
    if (due === undefined) throw new Error('it is due');
    const next = { instant: at('2026-03-02T00:00:00Z'), dueAt: at('2026-03-02T00:00:07.125Z') };
    expect([await dues.move(due, next), await dues.move(due, next)]).toEqual([true, false]);
    expect(await nextUp(seq)).toEqual([[vm.id, '2026-03-02T00:00:00.000Z']]);
    await dues.replaceOfVm(vm.id, []);
    expect(await nextUp(seq)).toEqual([]);
    expect(Math.abs((await dues.now()).getTime() - Date.now())).toBeLessThan(5000);
  });

  it('start when the rules of an offering and of a host let them', async () => {
    const rules = new StartRules(books.work);
    const said = {
      zone: 'Europe/Rome',
      windows: ['22:00-06:00', 'sat,sun 00:00-24:00'],
      blackouts: ['2026-12-24..2026-12-26'],
      atEnd: 'stop',
    } as const;
    const [offering, host] = [{ owner: 'offering', ownerId: 31 } as const, { owner: 'host', ownerId: 31 } as const];
    await rules.set(offering, { ...said, windows: [], blackouts: [] });
    await rules.set(offering, { ...said, windows: [...said.windows], blackouts: [...said.blackouts] });
    expect(await rules.find(offering)).toMatchObject(said);
    expect(await rules.find(host)).toBeNull();
    expect((await rules.ofMany('offering', [30, 31])).map(({ ownerId }) => ownerId)).toEqual([31]);
    expect([await rules.clear(offering), await rules.clear(offering)]).toEqual([true, false]);
  });

  it('make one run of an instant, whoever comes first', async () => {
    const vm = await aVm(books);
    const runs = new Runs(books.work);
    const due = { scheduleId: randomUUID(), scheduledFor: at('2026-03-01T00:00:00Z'), triggeredBy: 'schedule' as const };
    await runs.create(aRun(vm.id, due));
    await expect(runs.create(aRun(vm.id, due))).rejects.toMatchObject({ code: expect.any(String) as string });
    await expect(runs.create(aRun(vm.id, { ...due, scheduleId: randomUUID() }))).rejects.toMatchObject({
      code: expect.any(String) as string,
    });
    await runs.create(aRun((await aVm(books)).id, due));
    await runs.create(aRun(vm.id, { ...due, scheduledFor: at('2026-03-01T01:00:00Z') }));
  });

  it('leave a trace: in order, by VM, run and schedule, whatever is gone since', async () => {
    const events = new Events(books.work);
    const [vmId, runId, scheduleId] = [987_654, randomUUID(), randomUUID()];
    await events.add({ kind: 'queued', message: 'It is due.', vmId, runId, scheduleId, reason: 'due', facts: { late: 3 } });
    await events.add({ kind: 'skipped', message: 'It is paused.', vmId, scheduleId, reason: 'paused' });
    const [skipped, queued] = (await events.page({ limit: 10 }, { vmId })).items;
    expect(queued).toMatchObject({ kind: 'queued', runId, facts: { late: 3 }, at: expect.any(Date) as Date });
    expect(skipped).toMatchObject({ kind: 'skipped', runId: null, reason: 'paused' });
    expect((await events.page({ limit: 10 }, { scheduleId })).items.map(({ kind }) => kind)).toEqual(['skipped', 'queued']);
    expect((await events.page({ limit: 10 }, { runId })).items).toHaveLength(1);
    const first = await events.page({ limit: 1 }, { vmId });
    expect((await events.page({ limit: 1, after: first.next ?? 0 }, { vmId })).items.map(({ kind }) => kind)).toEqual(['queued']);
    await expect(
      books.work.run(async () => {
        await events.add({ kind: 'lost', message: 'It never was.' });
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect((await events.page({ limit: 100 }, { kind: 'lost' })).items).toEqual([]);
    // Whoever goes on from the newest must not miss what a slower transaction writes below it.
    const before = (queued?.seq ?? 0) - 1;
    expect(await events.settledSince(before, 10, { vmId })).toEqual([]);
    await new Promise((wake) => setTimeout(wake, 1100));
    expect((await events.settledSince(before, 10, { vmId })).map(({ kind }) => kind)).toEqual(['queued', 'skipped']);
    expect(await events.last()).toBeGreaterThanOrEqual(skipped?.seq ?? Infinity);
  });
});
