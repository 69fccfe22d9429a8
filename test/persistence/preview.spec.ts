import { randomUUID } from 'node:crypto';
import type { VmRow } from '../../src/database/entities/vm-row';
import { Dues, type ReadyDue } from '../../src/database/repositories/dues';
import { Events } from '../../src/database/repositories/events';
import { Hosts } from '../../src/database/repositories/hosts';
import { Offerings } from '../../src/database/repositories/offerings';
import { Runs } from '../../src/database/repositories/runs';
import { type NewSchedule, Schedules } from '../../src/database/repositories/schedules';
import { StartRules } from '../../src/database/repositories/start-rules';
import { Vms } from '../../src/database/repositories/vms';
import type { UnitOfWork } from '../../src/database/unit-of-work';
import { Rhythms } from '../../src/engine/rhythms';
import { Scheduler } from '../../src/engine/scheduler';
import { StartRuleReader } from '../../src/engine/start-rule-reader';
import { StartTimes } from '../../src/engine/start-times';
import { createLog } from '../../src/platform/log';
import { PreviewService } from '../../src/schedules/preview.service';
import { aVm } from '../support/books';
import { describeDatabases } from '../support/databases';
import { serviceConfig } from '../support/service-config';
import { FULL } from '../support/thorough';

/** A database whose clock is ours. */
class SimulatedDues extends Dues {
  constructor(
    work: UnitOfWork,
    public at: Date,
  ) {
    super(work);
  }
  override now(): Promise<Date> {
    return Promise.resolve(this.at);
  }
  override async ready(limit: number): Promise<ReadyDue[]> {
    return (await this.next(limit)).filter(
      (due): due is ReadyDue => due.dueAt !== null && due.instant !== null && due.dueAt <= this.at,
    );
  }
}

const [BEGIN, END] = FULL
  ? [new Date('2027-03-25T00:00:00Z'), new Date('2027-04-01T00:00:00Z')]
  : [new Date('2027-03-26T12:00:00Z'), new Date('2027-03-29T12:00:00Z')];

/** Days in whose middle clocks are put forward: 28 March 2027 in Berlin. `npm run test:full` takes the whole week. */
describeDatabases('a preview', (databases) => {
  /** A database without schedules, and all that makes and foretells runs. */
  const setUp = async () => {
    const books = await databases.open();
    const { work } = books;
    const dues = new SimulatedDues(work, BEGIN);
    const [schedules, vms, runs, offerings] = [new Schedules(work), new Vms(work), new Runs(work), new Offerings(work)];
    const rhythms = new Rhythms(work, schedules, dues, vms, new Events(work));
    const rules = new StartRules(work);
    const reader = new StartRuleReader(rules, offerings, new Hosts(work));
    const times = new StartTimes(work, runs, dues, vms, schedules, rhythms, reader);
    const settings = serviceConfig(books.config);
    const rooms = [work, schedules, dues, runs, vms, offerings, new Events(work), rhythms, reader, times] as const;
    const scheduler = new Scheduler(...rooms, settings, createLog(settings.log));
    const preview = new PreviewService(schedules, dues, vms, new Hosts(work), offerings, runs, rhythms, reader);

    const offered = async (name: string): Promise<number> =>
      (await offerings.create({ uuid: randomUUID(), name, description: null, externalId: null }, [])).id;
    const all: VmRow[] = [];
    const vmWith = async (
      offeringId: number,
      own: NewSchedule['own'] | null,
      cloudstack: NewSchedule['cloudstack'] = null,
    ): Promise<VmRow> => {
      const vm = await aVm(books);
      await vms.assignOffering(vm.id, offeringId);
      all.push(vm);
      if (own !== null)
        await rhythms.refresh(await schedules.create({ id: randomUUID(), vmId: vm.id, offeringId: null, own, cloudstack }));
      return vm;
    };
    const [always, nightly] = [await offered('always'), await offered('nightly')];
    return { dues, schedules, runs, rhythms, rules, scheduler, preview, always, nightly, all, vmWith };
  };

  it('of days over a change of clocks is what then runs, to the second', async () => {
    const { dues, schedules, runs, rhythms, rules, scheduler, preview, always, nightly, all, vmWith } = await setUp();
    await rules.set(
      { owner: 'offering', ownerId: nightly },
      { zone: 'Europe/Berlin', windows: ['22:00-02:15', 'sun 00:00-24:00'], blackouts: ['2027-03-26'], atEnd: 'finish' },
    );
    const zone = { timezone: 'Europe/Berlin' };
    await vmWith(always, { cron: '30 2 * * *', ...zone });
    await vmWith(always, { cron: '*/30 * * * *', timezone: 'Australia/Lord_Howe', jitterSeconds: 900 });
    await vmWith(always, {}, { scheduleType: 2, schedule: '30:02:1', ...zone, maxBackups: 0, quiescevm: false });
    await vmWith(nightly, { cron: '0 */6 * * *', ...zone, jitterSeconds: 600 });
    await vmWith(nightly, { cron: '45 1,2,3 * * *', ...zone });
    for (let index = 0; index < 4; index += 1) await vmWith(nightly, null);
    const offering = await schedules.create({
      id: randomUUID(),
      vmId: null,
      offeringId: nightly,
      own: { cron: '10 */3 * * *', ...zone, jitterSeconds: 3600 },
      cloudstack: null,
    });
    await rhythms.refresh(offering);

    const shown = (await preview.preview({ count: 700 })).runs
      .filter(({ startsAt }) => new Date(startsAt) < END)
      .map(({ vm, scheduledFor, startsAt }) => `${startsAt} ${vm} for ${scheduledFor}`);
    const ran: string[] = [];
    for (let [next] = await dues.next(1); next?.dueAt && next.dueAt < END; [next] = await dues.next(1)) {
      dues.at = next.dueAt;
      await scheduler.tick();
      for (const run of (await runs.page({ limit: 100 }, { states: ['queued'] })).items) {
        ran.push(
          `${dues.at.toISOString()} ${all.find(({ id }) => id === run.vmId)?.instanceName ?? ''} for ${run.scheduledFor?.toISOString() ?? ''}`,
        );
        await runs.endQueued(run.id, { state: 'cancelled' });
      }
    }
    expect(ran.sort()).toEqual(shown.sort());
    expect(ran.length).toBeGreaterThan(FULL ? 400 : 150);
    // Half past two does not exist on the 28th, and is not lost.
    const ofFirst = ran.filter((line) => line.includes(all[0]?.instanceName ?? '-')).map((line) => line.slice(0, 16));
    expect(ofFirst).toEqual(expect.arrayContaining(['2027-03-27T01:30', '2027-03-28T01:00', '2027-03-29T00:30']));
    expect(ofFirst).toHaveLength(FULL ? 7 : 3);
  }, 120_000);

  it('has what waits for its window already and what starts before that, whichever was due first', async () => {
    const { dues, rules, scheduler, preview, always, nightly, vmWith } = await setUp();
    await rules.set(
      { owner: 'offering', ownerId: nightly },
      { zone: 'UTC', windows: ['22:00-06:00'], blackouts: [], atEnd: 'finish' },
    );
    const names: string[] = [];
    for (const [offering, cron] of [
      [nightly, '0 13 * * *'],
      [nightly, '0 16 * * *'],
      [nightly, '10 16 * * *'],
      [always, '30 17 * * *'],
    ] as const)
      names.push((await vmWith(offering, { cron })).instanceName);
    dues.at = new Date('2027-03-26T13:00:00Z');
    await scheduler.tick();
    dues.at = new Date('2027-03-26T15:00:00Z');
    const shown = async (count: number): Promise<string[]> =>
      (await preview.preview({ count })).runs.map(({ vm, scheduledFor, startsAt }) =>
        [names.indexOf(vm), scheduledFor.slice(8, 16), startsAt.slice(8, 16)].join(' '),
      );
    const [soon, ...tonight] = await shown(4);
    expect(soon).toBe('3 26T17:30 26T17:30');
    expect(tonight.sort()).toEqual(['0 26T13:00 26T22:00', '1 26T16:00 26T22:00', '2 26T16:10 26T22:00']);
    expect(await shown(1)).toEqual([soon]);
    expect((await shown(2))[0]).toBe(soon);
  });
});
