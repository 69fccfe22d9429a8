import { Injectable } from '@nestjs/common';
import { In, type EntityManager } from 'typeorm';
import { now } from '../database-time';
import { DueRow } from '../entities/due-row';
import { UnitOfWork } from '../unit-of-work';

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
  move({ scheduleSeq, vmId, instant, dueAt }: ReadyDue, to: Pick<DueRow, 'instant' | 'dueAt'>): Promise<boolean> {
    return this.work.run(
      async (manager) => (await manager.update(DueRow, { scheduleSeq, vmId, instant, dueAt }, to)).affected === 1,
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
    return this.work.read(async (manager) => moment(manager));
  }
}

async function moment(manager: EntityManager): Promise<Date> {
  const [row] = await manager.query<{ at: string | Date }[]>(`SELECT ${now(manager)} AS at`);
  const at = row?.at ?? '';
  return at instanceof Date ? at : new Date(`${at.replace(' ', 'T')}Z`);
}
