import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';
import { momentOf, now, type RawMoment } from '../database-time';
import { RestoreRow } from '../entities/restore-row';
import { RunRow } from '../entities/run-row';
import { cut, type Listed, type Part } from '../page';
import { UnitOfWork } from '../unit-of-work';

/** What is written down when a restore begins. */
export type NewRestore = Omit<RestoreRow, 'vmTouched' | 'identical' | 'outcome' | 'created'>;

/** The run of a restore, and what is written down of it; null: it has not been planned yet, or came to nothing before. */
export interface RestoreWithRun {
  readonly run: RunRow;
  readonly restore: RestoreRow | null;
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

  /** When the volumes of a VM last became others by a restore (null: never), and when it is now by the same clock. */
  lastOfVm(vmId: number): Promise<{ readonly at: Date | null; readonly now: Date }> {
    return this.work.read(async (manager) => {
      const rows = await manager.query<[{ at: RawMoment | null; now: RawMoment }]>(
        `SELECT MAX(vm_touched) AS at, ${now(manager)} AS now FROM ck_restores WHERE vm_id = ?`,
        [vmId],
      );
      const [{ at, now: clock }] = rows;
      return { at: at === null ? null : momentOf(at), now: momentOf(clock) };
    });
  }

  /** Null: no restore has this id. */
  find(runId: string): Promise<RestoreWithRun | null> {
    return this.work.read(async (manager) => {
      const run = await manager.findOneBy(RunRow, { id: runId, kind: 'restore' });
      return run && { run, restore: await manager.findOneBy(RestoreRow, { runId }) };
    });
  }

  /** In order of creation, newest first. @param only `backup`: its uuid; those that have begun */
  page(
    part: Part,
    { vmId, backup }: { readonly vmId?: number | undefined; readonly backup?: string | undefined } = {},
  ): Promise<Listed<RestoreWithRun>> {
    return this.work.read(async (manager) => {
      const query = manager
        .createQueryBuilder(RunRow, 'run')
        .leftJoin(RestoreRow, 'restore', 'restore.runId = run.id')
        .where("run.kind = 'restore'")
        .orderBy('run.seq', 'DESC')
        .limit(part.limit + 1);
      if (part.after !== undefined) query.andWhere('run.seq < :after', { after: part.after });
      if (vmId !== undefined) query.andWhere('run.vmId = :vmId', { vmId });
      if (backup !== undefined) query.andWhere('restore.backupUuid = :backup', { backup });
      const { items, next } = cut(await query.getMany(), part.limit, ({ seq }) => seq);
      const restores = await manager.findBy(RestoreRow, { runId: In(items.map(({ id }) => id)) });
      return { items: items.map((run) => ({ run, restore: restores.find(({ runId }) => runId === run.id) ?? null })), next };
    });
  }
}
