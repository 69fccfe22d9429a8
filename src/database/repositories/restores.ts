import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { now } from '../database-time';
import { RestoreRow } from '../entities/restore-row';
import { RunRow } from '../entities/run-row';
import { cut, type Listed, type Part } from '../page';
import { UnitOfWork } from '../unit-of-work';

/** What is written down when a restore begins. */
export type NewRestore = Omit<RestoreRow, 'vmTouched' | 'identical' | 'outcome' | 'created'>;

/** A restore and the run that does it. */
export interface RestoreWithRun {
  readonly restore: RestoreRow;
  readonly run: RunRow;
}

/** What was restored where, for whom, and whether it was the same. */
@Injectable()
export class Restores {
  constructor(private readonly work: UnitOfWork) {}

  begin(restore: NewRestore): Promise<void> {
    return this.work.run(async (manager) => {
      await manager.insert(RestoreRow, { ...restore, created: () => now(manager) });
    });
  }

  /** From now on the VM's volumes may be others: until somebody knows better, no bitmap of before counts. */
  touchVm(runId: string): Promise<void> {
    return this.work.run(async (manager) => {
      await manager.update(RestoreRow, { runId }, { vmTouched: () => now(manager) });
    });
  }

  /** @param vmTouched false: the VM's volumes certainly are what they were; true: since now they are others; null: nobody knows */
  end(
    runId: string,
    { vmTouched, ...end }: Pick<RestoreRow, 'identical' | 'outcome'> & { readonly vmTouched: boolean | null },
  ): Promise<void> {
    return this.work.run(async (manager) => {
      const touched = vmTouched === null ? {} : { vmTouched: vmTouched ? () => now(manager) : null };
      await manager.update(RestoreRow, { runId }, { ...end, ...touched });
    });
  }

  /** When the volumes of a VM last became others by a restore; null: never. */
  lastOfVm(vmId: number): Promise<Date | null> {
    return this.work.read(async (manager) => {
      const last = await manager.findOne(RestoreRow, {
        where: { vmId },
        // A null comes last in descending order, on every database.
        order: { vmTouched: 'DESC' },
        select: { runId: true, vmTouched: true },
      });
      return last?.vmTouched ?? null;
    });
  }

  find(runId: string): Promise<RestoreWithRun | null> {
    return this.work.read(async (manager) => {
      const restore = await manager.findOneBy(RestoreRow, { runId });
      const run = restore && (await manager.findOneBy(RunRow, { id: runId }));
      return restore && run && { restore, run };
    });
  }

  /** In order of creation, newest first. */
  page(part: Part, { vmId }: { readonly vmId?: number } = {}): Promise<Listed<RestoreWithRun>> {
    return this.work.read(async (manager) => {
      const query = manager
        .createQueryBuilder(RunRow, 'run')
        .innerJoin(RestoreRow, 'restore', 'restore.runId = run.id')
        .where(part.after === undefined ? '1 = 1' : 'run.seq < :after', { after: part.after })
        .andWhere(vmId === undefined ? '1 = 1' : 'run.vmId = :vmId', { vmId })
        .orderBy('run.seq', 'DESC')
        .limit(part.limit + 1);
      const { items, next } = cut(await query.getMany(), part.limit, ({ seq }) => seq);
      const restores = await manager.findBy(RestoreRow, { runId: In(items.map(({ id }) => id)) });
      return {
        items: items.flatMap((run) => {
          const restore = restores.find(({ runId }) => runId === run.id);
          return restore === undefined ? [] : [{ restore, run }];
        }),
        next,
      };
    });
  }
}
