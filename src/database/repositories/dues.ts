import { Injectable } from '@nestjs/common';
import { In, MoreThan } from 'typeorm';
import { momentOf, now, type RawMoment } from '../database-time';
import { DueRow } from '../entities/due-row';
import { ScheduleRow } from '../entities/schedule-row';
import { VmRow } from '../entities/vm-row';
import { UnitOfWork } from '../unit-of-work';
import type { SchedulesOf } from './schedules';

/** Rows of one statement: SQLite takes 32,766 values, and a server is not held up. */
const AT_ONCE = 2000;

/** What is due. */
export interface ReadyDue extends DueRow {
  readonly instant: Date;
  readonly dueAt: Date;
}

/** What comes next of each schedule, for each of its VMs. */
@Injectable()
export class Dues {
  constructor(private readonly work: UnitOfWork) {}

  /** What is due now by the database's clock, the longest due first. */
  ready(limit: number): Promise<ReadyDue[]> {
    return this.work.read(async (manager) => {
      const rows = await manager
        .createQueryBuilder(DueRow, 'due')
        .where(`due.dueAt <= ${now(manager)}`)
        .orderBy('due.dueAt', 'ASC')
        .limit(limit)
        .getMany();
      return rows.filter((row): row is ReadyDue => row.instant !== null && row.dueAt !== null);
    });
  }

  /** Goes on to what comes after. False: another did, or the schedule was changed meanwhile. */
  move({ scheduleSeq, vmId, instant, dueAt }: DueRow, to: Pick<DueRow, 'instant' | 'dueAt'>): Promise<boolean> {
    return this.work.run(
      async (manager) => (await manager.update(DueRow, { scheduleSeq, vmId, instant, dueAt }, to)).affected === 1,
    );
  }

  /** Of these VMs what waits though its instant has passed: for its jitter, or for a window. */
  delayed(vmIds: readonly number[]): Promise<ReadyDue[]> {
    return this.work.read(async (manager) => {
      const rows = await manager
        .createQueryBuilder(DueRow, 'due')
        .where({ vmId: In([...vmIds]) })
        .andWhere(`due.instant <= ${now(manager)} AND due.dueAt > ${now(manager)}`)
        .getMany();
      return rows as ReadyDue[];
    });
  }

  /** VMs of which something waits though its instant has passed, by id, from one on. */
  delayedVms(after: number, limit: number): Promise<number[]> {
    return this.work.read(async (manager) => {
      const rows = await manager.query<{ vmId: number | string }[]>(
        `SELECT DISTINCT vm_id AS vmId FROM ck_due WHERE instant <= ${now(manager)} AND due_at > ${now(manager)} AND vm_id > ?
         ORDER BY vm_id LIMIT ${limit}`,
        [after],
      );
      return rows.map(({ vmId }) => Number(vmId));
    });
  }

  /** What these wait for has changed: it is looked at now. */
  judgeAnew(scheduleSeq: number, vmIds: readonly number[]): Promise<void> {
    return this.work.run(async (manager) => {
      await manager
        .createQueryBuilder()
        .update(DueRow)
        .set({ dueAt: () => now(manager) })
        .where({ scheduleSeq, vmId: In([...vmIds]) })
        // Not what has gone on meanwhile.
        .andWhere(`instant <= ${now(manager)} AND due_at > ${now(manager)}`)
        .execute();
    });
  }

  /** What comes first, due already or not. */
  next(limit: number, { vmId, offeringId }: SchedulesOf = {}): Promise<DueRow[]> {
    return this.work.read((manager) => {
      const query = manager.createQueryBuilder(DueRow, 'due').where('due.dueAt IS NOT NULL');
      if (vmId !== undefined) query.andWhere('due.vmId = :vmId', { vmId });
      if (offeringId !== undefined)
        query.innerJoin(VmRow, 'vm', 'vm.id = due.vmId').andWhere('vm.backupOfferingId = :offeringId', { offeringId });
      return query.orderBy('due.dueAt', 'ASC').limit(limit).getMany();
    });
  }

  /** Nothing comes of it any more. */
  remove({ scheduleSeq, vmId }: DueRow): Promise<void> {
    return this.work.run(async (manager) => void (await manager.delete(DueRow, { scheduleSeq, vmId })));
  }

  /** Schedules and VMs that nothing was made ready for: by somebody who wrote to the tables himself. */
  missing(): Promise<Pick<DueRow, 'scheduleSeq' | 'vmId'>[]> {
    return this.work.read(async (manager) => {
      const found = await Promise.all(
        ['schedule.vmId = vm.id', 'schedule.offeringId = vm.backupOfferingId'].map((which) =>
          manager
            .createQueryBuilder(ScheduleRow, 'schedule')
            .innerJoin(VmRow, 'vm', which)
            .leftJoin(DueRow, 'due', 'due.scheduleSeq = schedule.seq AND due.vmId = vm.id')
            .select('schedule.seq', 'scheduleSeq')
            .addSelect('vm.id', 'vmId')
            .where('due.vmId IS NULL AND vm.removed IS NULL')
            .getRawMany<{ scheduleSeq: number | string; vmId: number | string }>(),
        ),
      );
      return found.flat().map(({ scheduleSeq, vmId }) => ({ scheduleSeq: Number(scheduleSeq), vmId: Number(vmId) }));
    });
  }

  /** What comes next of a schedule where that is later than an instant. */
  beyond(scheduleSeq: number, instant: Date): Promise<DueRow[]> {
    return this.work.read((manager) => manager.findBy(DueRow, { scheduleSeq, instant: MoreThan(instant) }));
  }

  /** What is due of a schedule, or waits though its instant has passed. */
  passed(scheduleSeq: number): Promise<DueRow[]> {
    return this.work.read((manager) =>
      manager
        .createQueryBuilder(DueRow, 'due')
        .where({ scheduleSeq })
        .andWhere(`due.instant <= ${now(manager)}`)
        .getMany(),
    );
  }

  /** All that comes next of a schedule, in place of what was there. */
  replace(scheduleSeq: number, rows: readonly Omit<DueRow, 'scheduleSeq'>[]): Promise<void> {
    return this.work.run(async (manager) => {
      await manager.delete(DueRow, { scheduleSeq });
      for (let from = 0; from < rows.length; from += AT_ONCE)
        await manager.insert(
          DueRow,
          rows.slice(from, from + AT_ONCE).map((row) => ({ ...row, scheduleSeq })),
        );
    });
  }

  /** What comes next for a VM, in place of what was there. */
  replaceOfVm(vmId: number, rows: readonly Omit<DueRow, 'vmId'>[]): Promise<void> {
    return this.work.run(async (manager) => {
      await manager.delete(DueRow, { vmId });
      if (rows.length > 0)
        await manager.insert(
          DueRow,
          rows.map((row) => ({ ...row, vmId })),
        );
    });
  }

  ofVms(vmIds: readonly number[]): Promise<DueRow[]> {
    return this.work.read((manager) => manager.find(DueRow, { where: { vmId: In([...vmIds]) }, order: { dueAt: 'ASC' } }));
  }

  /** Now by the database's clock: what is due hangs on no other. */
  now(): Promise<Date> {
    return this.work.read(async (manager) => {
      const [row] = await manager.query<{ at: RawMoment }[]>(`SELECT ${now(manager)} AS at`);
      return momentOf((row as { at: RawMoment }).at);
    });
  }
}
