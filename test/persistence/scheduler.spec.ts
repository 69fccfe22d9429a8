import { randomUUID } from 'node:crypto';
import type { VmRow } from '../../src/database/entities/vm-row';
import { Claims } from '../../src/database/repositories/claims';
import { Dues } from '../../src/database/repositories/dues';
import { Events } from '../../src/database/repositories/events';
import { type Access, Hosts } from '../../src/database/repositories/hosts';
import { Leases } from '../../src/database/repositories/leases';
import { Offerings } from '../../src/database/repositories/offerings';
import { RunPlaces } from '../../src/database/repositories/run-places';
import { Runs } from '../../src/database/repositories/runs';
import { type NewSchedule, type Schedule, Schedules } from '../../src/database/repositories/schedules';
import { StartRules } from '../../src/database/repositories/start-rules';
import { Vms } from '../../src/database/repositories/vms';
import { Rhythms } from '../../src/engine/rhythms';
import { Scheduler } from '../../src/engine/scheduler';
import { StartRuleReader } from '../../src/engine/start-rule-reader';
import { StartTimes } from '../../src/engine/start-times';
import { jitterOf } from '../../src/domain/schedule/jitter-of';
import { createLog } from '../../src/platform/log';
import { SchedulesService } from '../../src/schedules/schedules.service';
import { StartRulesService } from '../../src/schedules/start-rules.service';
import { aRun, aVm } from '../support/books';
import { until } from '../support/brake';
import { type Books, describeDatabases } from '../support/databases';
import { serviceConfig } from '../support/service-config';

const ACCESS: Access = {
  ...{ address: '10.0.0.1', port: 22, sshUser: 'root', privateKeyFile: null, agentSocket: null, knownHostsFile: null },
  ...{ fingerprint: null, scriptPath: '/s', stockPath: null, beside: false, dialect: 'seed' },
};
const HOUR = 3_600_000;

describeDatabases('the scheduler', (databases) => {
  let books: Books;
  let schedules: Schedules;
  let dues: Dues;
  let runs: Runs;
  let vms: Vms;
  let rules: StartRules;
  let rhythms: Rhythms;
  let offeringId: number;

  beforeAll(async () => {
    books = await databases.open();
    ({ schedules, dues, runs, vms, rules, rhythms } = roomsOf(books));
    const offerings = new Offerings(books.work);
    offeringId = (await offerings.create({ uuid: randomUUID(), name: 'daily', description: null, externalId: null }, [])).id;
  });

  const roomsOf = ({ work }: Books) => {
    const [all, next, who] = [new Schedules(work), new Dues(work), new Vms(work)];
    return {
      schedules: all,
      dues: next,
      runs: new Runs(work),
      vms: who,
      rules: new StartRules(work),
      rhythms: new Rhythms(work, all, next, who, new Events(work)),
    };
  };
  const startTimesOf = (of: Books): StartTimes => {
    const { runs: all, dues: next, vms: who, schedules: when, rules: said, rhythms: beats } = roomsOf(of);
    const reader = new StartRuleReader(said, new Offerings(of.work), new Hosts(of.work));
    return new StartTimes(of.work, all, next, who, when, beats, reader);
  };
  const schedulerOf = (of: Books): Scheduler => {
    const { work, config } = of;
    const rooms = roomsOf(of);
    const settings = serviceConfig(config);
    const reader = new StartRuleReader(rooms.rules, new Offerings(work), new Hosts(work));
    return new Scheduler(
      ...([work, rooms.schedules, rooms.dues, rooms.runs, rooms.vms, new Offerings(work), new Events(work)] as const),
      ...([rooms.rhythms, reader, startTimesOf(of), settings, createLog(settings.log)] as const),
    );
  };
  const tick = (): Promise<number> => schedulerOf(books).tick();

  const protectedVm = async (): Promise<VmRow> => {
    const vm = await aVm(books);
    await vms.assignOffering(vm.id, offeringId);
    return { ...vm, backupOfferingId: offeringId };
  };
  /** Each hour at half past, unless told otherwise. */
  const aSchedule = async (vm: VmRow | null, own: NewSchedule['own'] = {}): Promise<Schedule> => {
    const of = { vmId: vm?.id ?? null, offeringId: vm === null ? offeringId : null };
    const made = await schedules.create({
      id: randomUUID(),
      ...of,
      own: { cron: '30 * * * *', timezone: 'UTC', ...own },
      cloudstack: null,
    });
    await rhythms.refresh(made);
    return made;
  };
  /** Half past of the hour so many hours ago. */
  const halfPast = (hoursAgo: number): Date => new Date((Math.floor(Date.now() / HOUR) - hoursAgo) * HOUR + HOUR / 2 - HOUR);
  const wasDue = async ({ seq }: Schedule, instant: Date, dueAt = instant): Promise<void> => {
    const rows = (
      await books.dataSource.query<{ vm_id: number | string }[]>(`SELECT vm_id FROM ck_due WHERE schedule_seq = ${seq}`)
    ).map(({ vm_id }) => ({ vmId: Number(vm_id), instant, dueAt }));
    await dues.replace(seq, rows);
  };
  const runsOf = async (vm: VmRow) => (await runs.page({ limit: 100 }, { vmId: vm.id })).items;
  const told = async (vm: VmRow): Promise<string[]> =>
    (await new Events(books.work).page({ limit: 100 }, { vmId: vm.id })).items
      .map(({ kind, reason }) => `${kind} ${reason}`)
      .reverse();
  const next = async (vm: VmRow) => (await dues.ofVms([vm.id]))[0];

  it('makes one run of what is due, named after its instant, and goes on to the next', async () => {
    const vm = await protectedVm();
    const schedule = await aSchedule(vm, { quiesce: true });
    expect(await tick()).toBe(0);
    const instant = halfPast(0);
    await wasDue(schedule, instant, new Date(Date.now() - 1000));
    expect(await tick()).toBe(1);
    expect(await tick()).toBe(0);
    const [run, ...others] = await runsOf(vm);
    expect(others).toEqual([]);
    expect(run).toMatchObject({
      kind: 'backup',
      state: 'queued',
      triggeredBy: 'schedule',
      scheduleId: schedule.id,
      scheduledFor: instant,
    });
    expect(run).toMatchObject({ requested: { mode: 'auto', quiesce: true }, stopAt: null });
    expect(await told(vm)).toEqual(['queued schedule']);
    expect((await next(vm))?.instant?.getTime()).toBeGreaterThan(Date.now());
    expect((await next(vm))?.instant?.getUTCMinutes()).toBe(30);
  });

  it('of several orchestrators one makes it', async () => {
    const all = await Promise.all(Array.from({ length: 12 }, () => protectedVm()));
    const made = await Promise.all(all.map((vm) => aSchedule(vm)));
    for (const schedule of made) await wasDue(schedule, halfPast(0), new Date(Date.now() - 1000));
    const others = [books, await databases.reopen(books.config), await databases.reopen(books.config)];
    await Promise.all(others.flatMap((of) => [schedulerOf(of).tick(), schedulerOf(of).tick()]));
    for (const vm of all) expect([(await runsOf(vm)).length, await told(vm)]).toEqual([1, ['queued schedule']]);
  });

  it('of two schedules at one instant comes one run, and both are noted', async () => {
    const vm = await protectedVm();
    const [first, second] = [await aSchedule(vm), await aSchedule(null)];
    for (const schedule of [first, second]) await wasDue(schedule, halfPast(0), new Date(Date.now() - 1000));
    await tick();
    const [run, ...others] = await runsOf(vm);
    expect([others, await told(vm)]).toEqual([[], ['queued schedule', 'skipped run-made']]);
    const [skipped] = (await new Events(books.work).page({ limit: 1 }, { vmId: vm.id })).items;
    expect(skipped).toMatchObject({ runId: run?.id, scheduleId: second.id });
    await schedules.remove(second.id);
  });

  it.each([
    ['run-once', ['queued schedule']],
    ['skip', ['skipped missed']],
  ] as const)('after an outage: %s', async (missed, events) => {
    const vm = await protectedVm();
    await wasDue(await aSchedule(vm, { missed, graceSeconds: 60 }), halfPast(9));
    await tick();
    expect(await tick()).toBe(0);
    expect([(await runsOf(vm)).length, await told(vm)]).toEqual([missed === 'skip' ? 0 : 1, events]);
    expect((await next(vm))?.instant?.getTime()).toBeGreaterThan(Date.now());
  });

  it('a VM without an offering gets none, and one that is gone or has another nothing at all', async () => {
    const [bare, gone, other] = [await aVm(books), await protectedVm(), await protectedVm()];
    await wasDue(await aSchedule(bare), halfPast(0));
    await wasDue(await aSchedule(gone), halfPast(0));
    await vms.remove(gone.id);
    const offered = await aSchedule(null);
    await dues.replace(offered.seq, [{ vmId: other.id, instant: halfPast(0), dueAt: halfPast(0) }]);
    await vms.assignOffering(other.id, null);
    await tick();
    expect([await told(bare), await runsOf(bare)]).toEqual([['skipped no-offering'], []]);
    for (const vm of [gone, other]) expect([await told(vm), await runsOf(vm), await next(vm)]).toEqual([[], [], undefined]);
    await schedules.remove(offered.id);
  });

  it('waits for the window, and has a run stopped that outlives it', async () => {
    const [early, late] = [await protectedVm(), await protectedVm()];
    const hour = new Date().getUTCHours();
    const said = { zone: 'UTC', blackouts: [], atEnd: 'stop' as const };
    const at = (h: number): string => `${String((h + 24) % 24).padStart(2, '0')}:00`;
    await rules.set({ owner: 'offering', ownerId: offeringId }, { ...said, windows: [`${at(hour + 2)}-${at(hour + 3)}`] });
    await wasDue(await aSchedule(early), halfPast(0), new Date(Date.now() - 1000));
    await tick();
    expect([await runsOf(early), await told(early)]).toEqual([[], ['delayed outside-window']]);
    expect((await next(early))?.instant).toEqual(halfPast(0));
    expect((await next(early))?.dueAt?.getUTCHours()).toBe((hour + 2) % 24);

    await rules.set({ owner: 'offering', ownerId: offeringId }, { ...said, windows: [`${at(hour - 1)}-${at(hour + 2)}`] });
    await wasDue(await aSchedule(late), halfPast(0), new Date(Date.now() - 1000));
    await tick();
    const [run] = await runsOf(late);
    expect(run?.stopAt?.getUTCHours()).toBe((hour + 2) % 24);
    await rules.clear({ owner: 'offering', ownerId: offeringId });
    await tick();
    expect((await runs.find(run?.id ?? ''))?.abortAsked).toBeNull();
    await books.dataSource.query(
      `UPDATE ck_runs SET state = 'running', stop_at = '2026-01-01 00:00:00.000' WHERE id = '${run?.id}'`,
    );
    await tick();
    await tick();
    expect((await runs.find(run?.id ?? ''))?.abortAsked).not.toBeNull();
    expect((await told(late)).filter((text) => text.startsWith('stopped'))).toEqual(['stopped window-closed']);
  });

  const backups = (vm: VmRow): Promise<unknown[]> =>
    books.dataSource.query(
      `SELECT start_until, stop_at, not_before, state, reason FROM ck_runs WHERE vm_id = ${vm.id} ORDER BY seq`,
    );
  /** Hours of the clock of UTC, from now on. */
  const windowFrom = (from: number, to: number): string => {
    const at = (h: number): string => `${String((new Date().getUTCHours() + h + 48) % 24).padStart(2, '0')}:00`;
    return `${at(from)}-${at(to)}`;
  };
  /** As if its window had closed while it waited. */
  const close = (...vms: readonly VmRow[]): Promise<unknown> =>
    books.dataSource.query(
      `UPDATE ck_runs SET start_until = '2026-01-01 00:00:00.000' WHERE vm_id IN (${vms.map(({ id }) => id).join()})`,
    );
  const owner = (): { owner: 'offering'; ownerId: number } => ({ owner: 'offering', ownerId: offeringId });

  it('puts off a run whose window has closed, once for all orchestrators, and the oldest comes first in the next', async () => {
    const all = [await protectedVm(), await protectedVm(), await protectedVm()];
    const said = { zone: 'UTC', blackouts: [], atEnd: 'stop' as const };
    await rules.set(owner(), { ...said, windows: [windowFrom(-1, 2)] });
    for (const vm of all) {
      await wasDue(await aSchedule(vm), halfPast(0), new Date(Date.now() - 1000));
      await tick();
    }
    const closes = (await runsOf(all[0] as VmRow))[0]?.startUntil;
    expect(closes?.getUTCMinutes()).toBe(0);
    expect(closes?.getTime()).toBeGreaterThan(Date.now());
    await rules.set(owner(), { ...said, windows: [windowFrom(3, 5)] });
    await close(...all);
    const claims = new Claims(books.work, new Leases(books.work), runs);
    for (const vm of all) {
      const [run] = await runsOf(vm);
      expect(await claims.take({ id: run?.id ?? '', vmId: vm.id, state: 'queued' }, 'o', 60_000)).toBeNull();
    }
    const others = [books, await databases.reopen(books.config), await databases.reopen(books.config)];
    await Promise.all(others.map((of) => schedulerOf(of).tick()));
    await tick();
    for (const vm of all) {
      const [run] = await runsOf(vm);
      expect(run?.state).toBe('queued');
      expect(run?.notBefore?.getTime()).toBeGreaterThan(Date.now() + HOUR);
      expect((run?.startUntil?.getTime() ?? 0) - (run?.notBefore?.getTime() ?? 0)).toBe(2 * HOUR);
      expect(run?.stopAt).toEqual(run?.startUntil);
      expect(await told(vm)).toEqual(['queued schedule', 'delayed outside-window']);
    }
    // When the next opens the first is the oldest still.
    await books.dataSource.query(`UPDATE ck_runs SET not_before = NULL WHERE vm_id IN (${all.map(({ id }) => id).join()})`);
    const { rows } = await new RunPlaces(books.work).look();
    const mine = rows.filter(({ vmId }) => all.some(({ id }) => id === vmId));
    expect(mine.map(({ vmId }) => vmId)).toEqual(all.map(({ id }) => id));
    await rules.clear(owner());
    await books.dataSource.query(`UPDATE ck_runs SET state = 'cancelled' WHERE state = 'queued'`);
  });

  it('leaves a run out whose window has closed where its policy skips what is missed, and what is asked for by hand alone', async () => {
    const [skips, byHand] = [await protectedVm(), await protectedVm()];
    await rules.set(owner(), { zone: 'UTC', blackouts: [], atEnd: 'finish', windows: [windowFrom(3, 5)] });
    const schedule = await aSchedule(skips, { missed: 'skip', graceSeconds: 60 });
    await runs.create(aRun(skips.id, { triggeredBy: 'schedule', scheduleId: schedule.id, scheduledFor: halfPast(0) }));
    await close(skips);
    await runs.create(aRun(byHand.id));
    await startTimesOf(books).putOff(10);
    expect(await told(skips)).toEqual(['queued schedule', 'skipped missed']);
    expect(await backups(skips)).toMatchObject([{ state: 'skipped', reason: 'missed' }]);
    expect(await backups(byHand)).toMatchObject([{ state: 'queued', start_until: null, not_before: null }]);
    await rules.clear(owner());
  });

  it('puts off all that wait for one opening at once', async () => {
    await rules.set(owner(), { zone: 'UTC', blackouts: [], atEnd: 'finish', windows: [windowFrom(3, 5)] });
    const all = await Promise.all(Array.from({ length: 30 }, () => protectedVm()));
    await runs.createMany(all.map((vm) => ({ ...aRun(vm.id), triggeredBy: 'schedule' })));
    await close(...all);
    const put = jest.spyOn(Runs.prototype, 'putOff');
    expect([await startTimesOf(books).putOff(20), await startTimesOf(books).putOff(20)]).toEqual([20, 10]);
    expect(put.mock.calls.map(([ids]) => ids.length)).toEqual([20, 10]);
    put.mockRestore();
    await rules.clear(owner());
  });

  it('judges anew what waits when the rules change, and says nothing where it waits for the same', async () => {
    const [due, jittered, queued, late] = [await protectedVm(), await protectedVm(), await protectedVm(), await protectedVm()];
    const service = new StartRulesService(
      books.work,
      rules,
      startTimesOf(books),
      new Offerings(books.work),
      new Hosts(books.work),
    );
    const day = (hours: number): string => new Date(Date.now() + hours * HOUR).toISOString().slice(0, 10);
    const dark = `${day(-24)}..${day(24 * 30)}`;
    await service.set('offering', 'daily', { blackouts: [dark] });
    await wasDue(await aSchedule(due), halfPast(0), new Date(Date.now() - 1000));
    await tick();
    expect((await next(due))?.dueAt?.getTime()).toBeGreaterThan(Date.now() + 29 * 24 * HOUR);
    // It waits for its jitter, and is asked then.
    const waits = new Date(Date.now() + HOUR);
    const spread = await aSchedule(jittered, { jitterSeconds: 1_000_000 });
    await wasDue(spread, new Date(waits.getTime() - jitterOf(spread.id, jittered.uuid ?? '', 1_000_000) * 1000), waits);
    await service.set('offering', 'daily', { blackouts: [dark], atEnd: 'stop' });
    await tick();
    expect(await told(due)).toEqual(['delayed blackout']);

    // Lifted: it is run, and not as one that was missed.
    await service.clear('offering', 'daily');
    await tick();
    expect([await told(due), (await runsOf(due)).length]).toEqual([['delayed blackout', 'queued schedule'], 1]);
    expect([await told(jittered), (await next(jittered))?.dueAt]).toEqual([[], waits]);

    // Set while a run waits: it holds that too, until it is lifted.
    await wasDue(await aSchedule(queued), halfPast(0), new Date(Date.now() - 1000));
    await tick();
    await runs.create(aRun(late.id));
    await service.set('offering', 'daily', { windows: [windowFrom(3, 5)] });
    await tick();
    expect(await told(queued)).toEqual(['queued schedule', 'delayed outside-window']);
    expect((await runsOf(queued))[0]?.notBefore?.getTime()).toBeGreaterThan(Date.now() + HOUR);
    await service.clear('offering', 'daily');
    await tick();
    expect(await told(queued)).toEqual(['queued schedule', 'delayed outside-window']);
    expect((await runsOf(queued))[0]).toMatchObject({ state: 'queued', notBefore: null, startUntil: null });
    // Who asks by hand is bound by nothing.
    expect((await runsOf(late))[0]).toMatchObject({ state: 'queued', notBefore: null, startUntil: null });
    await schedules.remove(spread.id);
  });

  it('judges anew what a VM waits for that has moved', async () => {
    const hosts = new Hosts(books.work);
    const { id: hostId } = await hosts.create({ uuid: randomUUID(), name: randomUUID() }, ACCESS);
    await rules.set(
      { owner: 'host', ownerId: hostId },
      { zone: 'UTC', blackouts: [], atEnd: 'finish', windows: [windowFrom(3, 5)] },
    );
    const vm = await protectedVm();
    await vms.change(vm.id, { hostId });
    await wasDue(await aSchedule(vm), halfPast(0), new Date(Date.now() - 1000));
    await tick();
    await vms.change(vm.id, { hostId: null });
    await startTimesOf(books).judgeAnew([{ ...vm, hostId: null }]);
    await tick();
    expect(await told(vm)).toEqual(['delayed outside-window', 'queued schedule']);

    // CloudStack moves it, and tells nobody.
    const other = await protectedVm();
    await vms.change(other.id, { hostId });
    await wasDue(await aSchedule(other), halfPast(0), new Date(Date.now() - 1000));
    await tick();
    await startTimesOf(books).lookAgain();
    await tick();
    expect(await told(other)).toEqual(['delayed outside-window']);
    await vms.change(other.id, { hostId: null });
    await startTimesOf(books).lookAgain();
    await tick();
    expect(await told(other)).toEqual(['delayed outside-window', 'queued schedule']);
  });

  it('a schedule that is changed or paused meanwhile makes nothing twice', async () => {
    const vm = await protectedVm();
    const schedule = await aSchedule(vm);
    const instant = halfPast(0);
    await runs.create(aRun(vm.id, { triggeredBy: 'schedule', scheduleId: schedule.id, scheduledFor: instant }));
    await books.dataSource.query(`UPDATE ck_runs SET state = 'succeeded' WHERE vm_id = ${vm.id}`);
    await wasDue(schedule, instant);
    await tick();
    expect([(await runsOf(vm)).length, await told(vm)]).toEqual([1, ['queued schedule', 'skipped run-made']]);

    await schedules.change(schedule.id, { paused: new Date() });
    await rhythms.refresh((await schedules.find(schedule.id)) as Schedule);
    expect(await next(vm)).toMatchObject({ instant: null, dueAt: null });
    expect(await tick()).toBe(0);
  });

  it('finds by itself what was written past it', async () => {
    const vm = await protectedVm();
    await books.dataSource.query(
      `INSERT INTO backup_schedule (uuid, vm_id, schedule_type, schedule, timezone) VALUES ('${randomUUID()}', ${vm.id}, 1, '15:03', 'Asia/Tokyo')`,
    );
    await rhythms.makeGood();
    const due = await next(vm);
    expect([due?.instant?.getUTCHours(), due?.instant?.getUTCMinutes()]).toEqual([18, 15]);
    expect(await rhythms.makeGood()).toBe(0);
    await books.dataSource.query(`UPDATE backup_schedule SET schedule = 'nonsense' WHERE vm_id = ${vm.id}`);
    const [mine] = await schedules.holding(vm.id, null);
    await wasDue(mine as Schedule, halfPast(0));
    await tick();
    expect([await next(vm), await runsOf(vm)]).toMatchObject([{ instant: null, dueAt: null }, []]);
    expect([await rhythms.makeGood(), await told(vm)]).toEqual([0, ['skipped schedule-unreadable']]);
  });

  it('takes up what others change in CloudStack’s table, mend there and remove', async () => {
    const vm = await protectedVm();
    const uuid = randomUUID();
    const write = (columns: string): Promise<unknown> =>
      books.dataSource.query(`UPDATE backup_schedule SET ${columns} WHERE vm_id = ${vm.id}`);
    await books.dataSource.query(
      `INSERT INTO backup_schedule (uuid, vm_id, schedule_type, schedule, timezone) VALUES ('${uuid}', ${vm.id}, 3, 'nonsense', 'UTC')`,
    );
    await rhythms.makeGood();
    await rhythms.makeGood();
    expect([await next(vm), await told(vm)]).toMatchObject([{ instant: null }, ['skipped schedule-unreadable']]);
    await write(`schedule = '15:03:28'`);
    expect(await rhythms.makeGood()).toBe(1);
    expect((await next(vm))?.instant?.getUTCDate()).toBe(28);
    await write(`schedule_type = 0, schedule = '15'`);
    await rhythms.makeGood();
    expect((await next(vm))?.instant?.getTime()).toBeLessThanOrEqual(Date.now() + HOUR);
    await write(`timezone = 'Asia/Kolkata'`);
    await rhythms.makeGood();
    expect((await next(vm))?.instant?.getUTCMinutes()).toBe(45);
    // What does not say when changes nothing.
    await write('max_backups = 3');
    expect(await rhythms.makeGood()).toBe(0);
    await books.dataSource.query(`DELETE FROM backup_schedule WHERE vm_id = ${vm.id}`);
    await rhythms.makeGood();
    expect([await next(vm), await schedules.find(uuid)]).toEqual([undefined, null]);
    expect(await told(vm)).toEqual(['skipped schedule-unreadable', 'schedule-removed null']);
    expect(await rhythms.makeGood()).toBe(0);
  });

  it('has a row that cannot be taken up stop no other, and nothing that is due', async () => {
    const [bad, good, due] = [await protectedVm(), await protectedVm(), await protectedVm()];
    const taken = await aSchedule(due);
    for (const [uuid, vm] of [[taken.id, bad] as const, [randomUUID(), good] as const])
      await books.dataSource.query(
        `INSERT INTO backup_schedule (uuid, vm_id, schedule_type, schedule, timezone) VALUES ('${uuid}', ${vm.id}, 1, '15:03', 'UTC')`,
      );
    await expect(rhythms.makeGood()).rejects.toThrow();
    expect([(await next(good))?.instant?.getUTCHours(), await next(bad)]).toEqual([3, undefined]);
    await wasDue(taken, halfPast(0), new Date(Date.now() - 1000));
    const scheduler = schedulerOf(books);
    scheduler.start();
    await until(async () => (await runsOf(due)).length === 1, 'the run that is due');
    await scheduler.stop();
    expect([scheduler.changes.failing, scheduler.looks.failing]).toEqual([true, false]);
    await books.dataSource.query(`DELETE FROM backup_schedule WHERE vm_id = ${bad.id}`);
  });

  it('keeps what is due of a schedule that is changed, unless it recurs otherwise: then that is told', async () => {
    const vm = await protectedVm();
    const schedule = await aSchedule(vm);
    const service = new SchedulesService(
      ...([books.work, schedules, dues, vms, new Offerings(books.work), new Events(books.work), rhythms] as const),
    );
    const [instant, tonight] = [halfPast(0), new Date(Date.now() + 5 * HOUR)];
    await wasDue(schedule, instant, tonight);
    await service.update(schedule.id, { graceSeconds: 60, quiesce: true, missed: 'skip', cron: '30 * * * *', timezone: 'UTC' });
    expect([await next(vm), await told(vm)]).toMatchObject([{ instant, dueAt: tonight }, []]);
    await service.update(schedule.id, { cron: '0 3 * * *' });
    expect([(await next(vm))?.instant?.getUTCHours(), await told(vm)]).toEqual([3, ['skipped schedule-changed']]);
    // What is yet to come was not left out.
    await service.update(schedule.id, { timezone: 'Asia/Tokyo' });
    expect([(await next(vm))?.instant?.getUTCHours(), await told(vm)]).toEqual([18, ['skipped schedule-changed']]);
  });

  it('waits again for what a clock that was days ahead has passed by, and makes none of it twice', async () => {
    const [vm, other] = [await protectedVm(), await protectedVm()];
    const [schedule, yearly] = [await aSchedule(vm), await aSchedule(other, { cron: '0 4 1 1 *' })];
    const [soon, inYears] = [await next(vm), await next(other)];
    // As if it had been three days ahead: this was made then, and what comes after it is waited for.
    const instant = soon?.instant as Date;
    await wasDue(schedule, instant, new Date(Date.now() - 1000));
    await tick();
    await wasDue(schedule, new Date(instant.getTime() + 72 * HOUR));
    const at = new Date(Date.now() + 72 * HOUR).toISOString().slice(0, 23).replace('T', ' ');
    await books.dataSource.query(`UPDATE ck_events SET at = '${at}' WHERE vm_id = ${vm.id}`);
    expect(await new Events(books.work).settledSince(0, 10, { vmId: vm.id })).toHaveLength(1);
    expect(await rhythms.makeGood()).toBe(1);
    expect(await rhythms.makeGood()).toBe(0);
    expect([await next(vm), await next(other)]).toEqual([soon, inYears]);
    await wasDue(schedule, instant, new Date(Date.now() - 1000));
    await tick();
    expect([(await runsOf(vm)).length, await told(vm)]).toEqual([1, ['queued schedule', 'skipped run-made']]);
    await Promise.all([schedules.remove(schedule.id), schedules.remove(yearly.id)]);
    await books.dataSource.query(`DELETE FROM ck_events WHERE vm_id = ${vm.id}`);
  });

  it('spreads the VMs of an offering, each always at its place, and those that come later too', async () => {
    const all = await Promise.all(Array.from({ length: 30 }, () => protectedVm()));
    const schedule = await aSchedule(null, { jitterSeconds: 1200 });
    const placeOf = async (vm: VmRow): Promise<number> => {
      const due = (await dues.ofVms([vm.id])).find(({ scheduleSeq }) => scheduleSeq === schedule.seq);
      return ((due?.dueAt?.getTime() ?? NaN) - (due?.instant?.getTime() ?? NaN)) / 1000;
    };
    const places = await Promise.all(all.map(placeOf));
    expect(places.filter((seconds) => seconds >= 0 && seconds <= 1200)).toHaveLength(30);
    expect(new Set(places).size).toBeGreaterThan(20);
    await rhythms.refresh(schedule);
    expect(await Promise.all(all.map(placeOf))).toEqual(places);
    const later = await protectedVm();
    expect(await placeOf(later)).toBeNaN();
    await rhythms.refreshVm(later.id);
    expect(await placeOf(later)).toBeGreaterThanOrEqual(0);
    await vms.assignOffering(later.id, null);
    await rhythms.refreshVm(later.id);
    expect(await placeOf(later)).toBeNaN();
  });
});
