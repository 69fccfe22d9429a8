import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Dues } from '../database/repositories/dues';
import { Events } from '../database/repositories/events';
import { Offerings } from '../database/repositories/offerings';
import { type CloudstackPart, type OwnPart, type Schedule, Schedules } from '../database/repositories/schedules';
import { Vms } from '../database/repositories/vms';
import { UnitOfWork } from '../database/unit-of-work';
import { isRefusal } from '../domain/chain/refusal';
import { UserError } from '../domain/errors';
import { checkZone } from '../domain/schedule/check-zone';
import { readRecurrence } from '../domain/schedule/read-recurrence';
import { refusalError } from '../engine/planner';
import { Rhythms, wishOf, zoneOf } from '../engine/rhythms';
import { found } from '../platform/found';
import { type Page, toPage, toPart } from '../platform/page';
import type { CreateScheduleDto, ScheduleDto, SchedulesQuery, UpdateScheduleDto } from './dto/schedule.dto';
import { INTERVALS } from './intervals';
import { presentSchedule } from './present-schedule';

/** When VMs are backed up, as somebody says. */
@Injectable()
export class SchedulesService {
  constructor(
    private readonly work: UnitOfWork,
    private readonly schedules: Schedules,
    private readonly dues: Dues,
    private readonly vms: Vms,
    private readonly offerings: Offerings,
    private readonly events: Events,
    private readonly rhythms: Rhythms,
  ) {}

  /** @throws UserError `schedule.bad-time`, `schedule.bad-cron`, `schedule.never`, `schedule.unknown-zone`, `schedule.of-what`, `schedule.taken` */
  async create({ vm: vmName, offering: offeringName, ...wish }: CreateScheduleDto): Promise<ScheduleDto> {
    if ((vmName === undefined) === (offeringName === undefined))
      throw new UserError('schedule.of-what', 'invalid', 'A schedule is of a VM or of an offering, of one of them.', {
        next: 'Name either vm or offering.',
      });
    const vm = vmName === undefined ? null : found(await this.vms.find(vmName), 'vm', vmName);
    const offering = offeringName === undefined ? null : found(await this.offerings.find(offeringName), 'offering', offeringName);
    const { cron, every, at } = wish;
    if (cron !== undefined ? every !== undefined || at !== undefined : every === undefined || at === undefined)
      throw new UserError('schedule.bad-time', 'invalid', 'A schedule has either every and at, or cron.', {
        next: 'Say for one `every: daily, at: 30:02`, or `cron: 30 2 * * *`.',
      });
    if (offering !== null && cron === undefined) throw onlyCron('A schedule of an offering');
    const timezone = wish.timezone ?? 'UTC';
    const scheduleType = every === undefined ? null : INTERVALS.indexOf(every);
    if (vm !== null && scheduleType !== null) await this.#refuseTaken(vm.id, scheduleType, null);
    const cloudstack: CloudstackPart | null =
      scheduleType === null || at === undefined
        ? null
        : { scheduleType, schedule: at, timezone, maxBackups: wish.maxBackups ?? 0, quiescevm: wish.quiesce ?? false };
    if (cloudstack === null && wish.maxBackups !== undefined) throw noCount();
    const own = ownPart({ ...wish, ...(cloudstack === null ? { timezone } : {}) }, cloudstack !== null);
    check(cloudstack === null ? { cron: cron ?? '' } : { type: scheduleType ?? -1, text: at ?? '' }, timezone);
    return this.work.run(async () => {
      const ids = { vmId: vm?.id ?? null, offeringId: offering?.id ?? null };
      const made = await this.schedules.create({ id: randomUUID(), ...ids, own, cloudstack });
      await this.rhythms.refresh(made);
      return this.#present(made);
    });
  }

  async list({ vm, offering, ...query }: SchedulesQuery): Promise<Page<ScheduleDto>> {
    const listed = await this.schedules.page(toPart(query), {
      ...(vm === undefined ? {} : { vmId: found(await this.vms.find(vm), 'vm', vm).id }),
      ...(offering === undefined ? {} : { offeringId: found(await this.offerings.find(offering), 'offering', offering).id }),
    });
    return toPage({ items: await Promise.all(listed.items.map((row) => this.#present(row))), next: listed.next }, (dto) => dto);
  }

  async show(id: string): Promise<ScheduleDto> {
    return this.#present(found(await this.schedules.find(id), 'schedule', id));
  }

  /** From now on. A run that was made before goes on, and what is due stays so unless it recurs otherwise now. @throws UserError as `create` */
  async update(id: string, wish: UpdateScheduleDto): Promise<ScheduleDto> {
    const before = found(await this.schedules.find(id), 'schedule', id);
    const theirs = before.cloudstack;
    if (theirs === null ? wish.every !== undefined || wish.at !== undefined : wish.cron !== undefined)
      throw new UserError(
        'schedule.bad-time',
        'conflict',
        `Schedule ${id} is written ${theirs === null ? 'as a cron pattern' : 'with every and at'}, and stays so.`,
        {
          next: 'Remove it and add another.',
        },
      );
    if (theirs === null && wish.maxBackups !== undefined) throw noCount();
    const cloudstack: Partial<CloudstackPart> = theirs === null ? {} : cloudstackPart(wish);
    const { scheduleType } = cloudstack;
    if (typeof scheduleType === 'number' && scheduleType !== theirs?.scheduleType)
      await this.#refuseTaken(before.vmId ?? 0, scheduleType, id);
    const own = ownPart(wish, theirs !== null);
    const after: Schedule = { ...before, ...own, cloudstack: theirs && { ...theirs, ...cloudstack } };
    check(wishOf(after), zoneOf(after));
    return this.#change(id, own, cloudstack);
  }

  /** Nothing comes of it until it goes on. */
  async pause(id: string, why: string | null): Promise<ScheduleDto> {
    const schedule = found(await this.schedules.find(id), 'schedule', id);
    if (schedule.paused !== null) return this.#present(schedule);
    return this.work.run(async () => {
      const shown = await this.#change(id, { paused: await this.dues.now(), pausedWhy: why });
      await this.#tell(schedule, 'paused', `The schedule is paused${why === null ? '' : `: ${why}`}.`);
      return shown;
    });
  }

  /** From now on: what it would have done meanwhile is not made up for. */
  async resume(id: string): Promise<ScheduleDto> {
    const schedule = found(await this.schedules.find(id), 'schedule', id);
    if (schedule.paused === null) return this.#present(schedule);
    return this.work.run(async () => {
      const shown = await this.#change(id, { paused: null, pausedWhy: null });
      const since = schedule.paused?.toISOString() ?? '';
      await this.#tell(schedule, 'resumed', `The schedule goes on; what it named since ${since} is not made up for.`);
      return shown;
    });
  }

  /** The runs that it made stay. */
  async remove(id: string): Promise<void> {
    const schedule = found(await this.schedules.find(id), 'schedule', id);
    await this.work.run(async () => {
      await this.schedules.remove(id);
      await this.#tell(schedule, 'schedule-removed', 'The schedule was removed.');
    });
  }

  #tell({ id: scheduleId, vmId }: Schedule, kind: string, message: string): Promise<void> {
    return this.events.add({ kind, scheduleId, vmId, message });
  }

  #change(id: string, own: Partial<OwnPart>, cloudstack: Partial<CloudstackPart> = {}): Promise<ScheduleDto> {
    return this.work.run(async () => {
      const before = found(await this.schedules.find(id), 'schedule', id);
      await this.schedules.change(id, own, cloudstack);
      const after = found(await this.schedules.find(id), 'schedule', id);
      await this.rhythms.change(before, after);
      return this.#present(after);
    });
  }

  /** As CloudStack: a VM has one schedule of each kind. */
  async #refuseTaken(vmId: number, scheduleType: number, except: string | null): Promise<void> {
    const taken = (await this.schedules.ofVm(vmId)).find((row) => row.scheduleType === scheduleType && row.uuid !== except);
    if (taken === undefined) return;
    throw new UserError('schedule.taken', 'conflict', `The VM has a schedule of this kind already: ${taken.uuid}.`, {
      next: 'Change that one, or add one with a cron pattern.',
      facts: { scheduleId: taken.uuid },
    });
  }

  async #present(schedule: Schedule): Promise<ScheduleDto> {
    const vm = schedule.vmId === null ? null : await this.vms.findById(schedule.vmId);
    const offering = schedule.offeringId === null ? null : await this.offerings.findById(schedule.offeringId);
    return presentSchedule(schedule, { vm: vm?.instanceName ?? null, offering: offering?.name ?? null }, await this.dues.now());
  }
}

const onlyCron = (what: string): UserError =>
  new UserError('schedule.bad-time', 'invalid', `${what} is written as a cron pattern: CloudStack’s notation is for VMs.`, {
    next: 'Say for one `cron: 30 2 * * *`.',
  });

const noCount = (): UserError =>
  new UserError('schedule.no-count', 'invalid', 'CloudStack’s count belongs to its own notation.', {
    next: 'Say what is kept with a retention policy.',
  });

/** @throws UserError why it means nothing */
function check(wish: Parameters<typeof readRecurrence>[0], zone: string): void {
  const recurrence = readRecurrence(wish);
  const refused = isRefusal(recurrence) ? recurrence : checkZone(zone);
  if (refused !== null) throw refusalError(refused);
}

/** What is ours of it; of one in CloudStack's notation zone and quiescing are not. */
function ownPart(
  { cron, timezone, quiesce, jitterSeconds, missed, graceSeconds }: UpdateScheduleDto,
  theirs: boolean,
): Partial<OwnPart> {
  return {
    ...(theirs ? {} : { ...(cron === undefined ? {} : { cron }), ...(timezone === undefined ? {} : { timezone }) }),
    ...(theirs || quiesce === undefined ? {} : { quiesce }),
    ...(jitterSeconds === undefined ? {} : { jitterSeconds }),
    ...(missed === undefined ? {} : { missed }),
    ...(graceSeconds === undefined ? {} : { graceSeconds }),
  };
}

const cloudstackPart = ({ every, at, timezone, maxBackups, quiesce }: UpdateScheduleDto): Partial<CloudstackPart> => ({
  ...(every === undefined ? {} : { scheduleType: INTERVALS.indexOf(every) }),
  ...(at === undefined ? {} : { schedule: at }),
  ...(timezone === undefined ? {} : { timezone }),
  ...(maxBackups === undefined ? {} : { maxBackups }),
  ...(quiesce === undefined ? {} : { quiescevm: quiesce }),
});
