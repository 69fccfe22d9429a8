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

  /** After a schedule was changed: what is due of it stays as it is, unless it recurs otherwise now. */
  async change(before: Schedule, after: Schedule): Promise<void> {
    const recurs = (schedule: Schedule): string =>
      JSON.stringify([wishOf(schedule), zoneOf(schedule), schedule.jitterSeconds, schedule.paused]);
    if (recurs(before) !== recurs(after)) await this.refresh(after);
  }

  /** After a schedule was made, or recurs otherwise: what comes next of it, for each of its VMs. From now on; what was due and is left out is told. */
  refresh(schedule: Schedule): Promise<void> {
    return this.work.run(async () => {
      const nextOf = nextDues(await this.dues.now());
      const rows: Omit<DueRow, 'scheduleSeq'>[] = [];
      for (let after = 0, vms = await this.#vmsOf(schedule, after); vms.length > 0; vms = await this.#vmsOf(schedule, after)) {
        rows.push(...vms.map((vm) => ({ vmId: vm.id, ...this.#next(schedule, vm, nextOf) })));
        after = vms.at(-1)?.id ?? after;
        if (schedule.vmId !== null) break;
      }
      await this.#tellLeftOut(schedule, rows);
      await this.dues.replace(schedule.seq, rows);
      await this.schedules.noteRead(schedule);
    });
  }

  async #tellLeftOut(schedule: Schedule, rows: readonly Omit<DueRow, 'scheduleSeq'>[]): Promise<void> {
    // Of one that is paused that was told.
    if (schedule.paused !== null) return;
    const why = this.whyUnreadable(schedule);
    if (why !== null) return this.events.add({ kind: 'skipped', scheduleId: schedule.id, vmId: schedule.vmId, ...why });
    const kept = new Map(rows.map(({ vmId, instant }) => [vmId, instant?.getTime()]));
    const leftOut = (await this.dues.passed(schedule.seq)).filter(({ vmId, instant }) => kept.get(vmId) !== instant?.getTime());
    await this.events.addMany(
      leftOut.map(({ vmId, instant }) => ({
        ...{ kind: 'skipped', reason: 'schedule-changed', scheduleId: schedule.id, vmId },
        message: 'It waited to be started, and the schedule names other moments now.',
        facts: { instant: instant?.toISOString() },
      })),
    );
  }

  /** Why nothing can come of a schedule that is not paused, as an event has it; null: it can be read. */
  whyUnreadable(schedule: Schedule): { readonly reason: string; readonly message: string } | null {
    if (this.#beatOf(schedule) !== null) return null;
    const recurrence = readRecurrence(wishOf(schedule));
    const refused = isRefusal(recurrence) ? recurrence : checkZone(zoneOf(schedule));
    const message = `Nothing comes of the schedule until it is mended: ${refused?.message ?? ''}`;
    return { reason: 'schedule-unreadable', message };
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
   * What nobody told us: rows of CloudStack's table that are new, changed or gone, schedules or VMs without a next time, and a clock that went
   * back. How many were made good. What fails stops nothing else.
   * @throws the first failure, once all has been tried
   */
  async makeGood(): Promise<number> {
    const failures: unknown[] = [];
    const failed = (error: unknown): number => {
      failures.push(error);
      return 0;
    };
    // What is gone may come again under its old name.
    let count = await this.#readAgain(failed).catch(failed);
    if ((await this.schedules.adoptRows(failed).catch(failed)) > 0) count += await this.#readAgain(failed).catch(failed);
    const missing = await this.dues.missing().catch((error: unknown) => (failed(error), []));
    for (const vmId of new Set(missing.map((row) => row.vmId))) await this.refreshVm(vmId).catch(failed);
    count += missing.length + (await this.#turnBack().catch(failed));
    if (failures.length > 0) throw failures[0];
    return count;
  }

  /** Schedules whose row in CloudStack's table is gone go too; of those whose row says something else now that holds from now on. */
  async #readAgain(failed: (error: unknown) => unknown): Promise<number> {
    const seqs = await this.schedules.changedRows();
    for (let from = 0; from < seqs.length; from += PAGE)
      for (const schedule of await this.schedules.bySeqs(seqs.slice(from, from + PAGE)))
        await (schedule.cloudstack === null ? this.#removeGone(schedule) : this.refresh(schedule)).catch(failed);
    return seqs.length;
  }

  #removeGone({ id: scheduleId, vmId }: Schedule): Promise<void> {
    return this.work.run(async () => {
      if (!(await this.schedules.remove(scheduleId))) return;
      const message = 'Its row was removed from backup_schedule.';
      await this.events.add({ kind: 'schedule-removed', scheduleId, vmId, message });
    });
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
