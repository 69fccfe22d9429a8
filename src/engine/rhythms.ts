import { Injectable } from '@nestjs/common';
import type { DueRow } from '../database/entities/due-row';
import type { VmRow } from '../database/entities/vm-row';
import { Dues } from '../database/repositories/dues';
import { Events } from '../database/repositories/events';
import { type Schedule, Schedules } from '../database/repositories/schedules';
import { Vms } from '../database/repositories/vms';
import { UnitOfWork } from '../database/unit-of-work';
import { isRefusal } from '../domain/chain/refusal';
import { checkZone } from '../domain/schedule/check-zone';
import { jitterOf } from '../domain/schedule/jitter-of';
import type { Rhythm } from '../domain/schedule/next-due';
import { nextDues } from '../domain/schedule/next-dues';
import { nextRun } from '../domain/schedule/next-run';
import { readRecurrence, type RecurrenceWish } from '../domain/schedule/read-recurrence';

/** VMs or schedules that are read at a time. */
const PAGE = 2000;
/** A clock that goes back by less is one that was set right, and costs a run that much. */
const BACK_MS = 60_000;

/** What a schedule says of a VM, and what comes next of it: kept in `ck_due` whenever one of both changes. */
@Injectable()
export class Rhythms {
  readonly #beats = new WeakMap<Schedule, Omit<Rhythm, 'jitter'> | null>();
  /** What was put right already of a clock that was ahead: until when it was. */
  #ahead = 0;

  constructor(
    private readonly work: UnitOfWork,
    private readonly schedules: Schedules,
    private readonly dues: Dues,
    private readonly vms: Vms,
    private readonly events: Events,
  ) {}

  /** Null: it cannot be read, as of a row that somebody else has written; or it is paused. */
  of(schedule: Schedule, vm: Pick<VmRow, 'id' | 'uuid'>): Rhythm | null {
    const { paused, jitterSeconds, id } = schedule;
    const beat = paused === null ? this.#beatOf(schedule) : null;
    return beat && { ...beat, jitter: jitterOf(id, vm.uuid ?? `${vm.id}`, jitterSeconds) };
  }

  /** Read once for all of its VMs. */
  #beatOf(schedule: Schedule): Omit<Rhythm, 'jitter'> | null {
    const known = this.#beats.get(schedule);
    if (known !== undefined) return known;
    const zone = zoneOf(schedule);
    const recurrence = readRecurrence(wishOf(schedule));
    const beat = isRefusal(recurrence) || checkZone(zone) !== null ? null : { recurrence, zone };
    this.#beats.set(schedule, beat);
    return beat;
  }

  /** After a schedule was made or changed: what comes next of it, for each of its VMs. From now on, whatever was due. */
  refresh(schedule: Schedule): Promise<void> {
    return this.work.run(async () => {
      const nextOf = nextDues(await this.dues.now());
      const rows: Omit<DueRow, 'scheduleSeq'>[] = [];
      for (let after = 0, vms = await this.#vmsOf(schedule, after); vms.length > 0; vms = await this.#vmsOf(schedule, after)) {
        rows.push(...vms.map((vm) => ({ vmId: vm.id, ...this.#next(schedule, vm, nextOf) })));
        after = vms.at(-1)?.id ?? after;
        if (schedule.vmId !== null) break;
      }
      await this.dues.replace(schedule.seq, rows);
    });
  }

  /** After a VM came, went or got another offering. What it keeps is as due as it was. */
  refreshVm(vmId: number): Promise<void> {
    return this.work.run(async () => {
      const vm = await this.vms.findById(vmId);
      const nextOf = nextDues(await this.dues.now());
      const holding = vm === null || vm.removed !== null ? [] : await this.schedules.holding(vm.id, vm.backupOfferingId);
      const before = new Map((await this.dues.ofVms([vmId])).map((due) => [due.scheduleSeq, due]));
      await this.dues.replaceOfVm(
        vmId,
        holding.map((schedule) => {
          const { instant, dueAt } = before.get(schedule.seq) ?? this.#next(schedule, vm as VmRow, nextOf);
          return { scheduleSeq: schedule.seq, instant, dueAt };
        }),
      );
    });
  }

  /**
   * What nobody told us: rows of CloudStack's table that are new, schedules or VMs without a next time, and a clock that went back. How many
   * were made good.
   */
  async makeGood(): Promise<number> {
    await this.schedules.adoptRows();
    const missing = await this.dues.missing();
    for (const vmId of new Set(missing.map((row) => row.vmId))) await this.refreshVm(vmId);
    return missing.length + (await this.#turnBack());
  }

  /**
   * While the database's clock was ahead, instants passed that are yet to come, and a schedule would be silent until it gets there once more.
   * What runs already of those is told when its time comes, and not made again.
   */
  async #turnBack(): Promise<number> {
    const ahead = (await this.events.ahead(BACK_MS))?.getTime() ?? 0;
    if (ahead <= this.#ahead) return 0;
    let count = 0;
    let after: number | null | undefined;
    do {
      const page = await this.schedules.page({ limit: PAGE, after: after ?? undefined });
      for (const schedule of page.items) count += await this.#turnBackOf(schedule);
      after = page.next;
    } while (after !== null);
    this.#ahead = ahead;
    return count;
  }

  async #turnBackOf(schedule: Schedule): Promise<number> {
    const beat = this.#beatOf(schedule);
    const now = await this.dues.now();
    const first = beat && nextRun(beat.recurrence, beat.zone, now);
    if (first === null) return 0;
    const nextOf = nextDues(now);
    let count = 0;
    for (const due of await this.dues.beyond(schedule.seq, first)) {
      const vm = await this.vms.findById(due.vmId);
      if (vm !== null && (await this.dues.move(due, this.#next(schedule, vm, nextOf)))) count += 1;
    }
    return count;
  }

  #next(schedule: Schedule, vm: VmRow, nextOf: ReturnType<typeof nextDues>): Pick<DueRow, 'instant' | 'dueAt'> {
    const rhythm = this.of(schedule, vm);
    return (rhythm && nextOf(rhythm)) ?? { instant: null, dueAt: null };
  }

  async #vmsOf({ vmId, offeringId }: Schedule, after: number): Promise<VmRow[]> {
    if (vmId === null) return this.vms.ofOffering(offeringId ?? 0, after, PAGE);
    const vm = await this.vms.findById(vmId);
    return vm === null || vm.removed !== null ? [] : [vm];
  }
}

/** IANA name of the zone that a schedule's times are meant in. */
export const zoneOf = ({ timezone, cloudstack }: Schedule): string =>
  (cloudstack === null ? timezone : cloudstack.timezone) ?? 'UTC';

/** What was said of when it recurs. */
export const wishOf = ({ cron, cloudstack }: Schedule): RecurrenceWish =>
  cloudstack === null ? { cron: cron ?? '' } : { type: cloudstack.scheduleType ?? -1, text: cloudstack.schedule ?? '' };
