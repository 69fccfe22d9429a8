import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { DELETING } from '../database/entities/run-row';
import { Backups, type BookedBackup } from '../database/repositories/backups';
import { Protections } from '../database/repositories/protections';
import { Runs } from '../database/repositories/runs';
import { UnitOfWork } from '../database/unit-of-work';
import type { DeletionRequest } from '../domain/chain/plan-deletion';
import { UserError } from '../domain/errors';
import { Deleter } from '../engine/deleter';
import { refusalError } from '../engine/planner';
import { found } from '../platform/found';
import type { AskedBy } from '../runs/asked-by';
import type { RunDto } from '../runs/dto/run.dto';
import { RunPresenter } from '../runs/present-run';
import type { DeletionPlanDto } from './dto/deletion.dto';
import type { ProtectDto } from './dto/protection.dto';
import { presentStep } from './present-step';

/** How a deletion is to go. */
export type DeletionWishes = Omit<DeletionRequest, 'backup'>;

@Injectable()
export class DeletionsService {
  constructor(
    private readonly work: UnitOfWork,
    private readonly backups: Backups,
    private readonly protections: Protections,
    private readonly runs: Runs,
    private readonly deleter: Deleter,
    private readonly runPresenter: RunPresenter,
  ) {}

  /** What would go, in which order, and what is lost by it. Changes nothing. @throws UserError `deletion.*` */
  async plan(id: string, wishes: DeletionWishes): Promise<DeletionPlanDto> {
    const { vmId, uuid } = await this.#find(id);
    const plan = await this.deleter.plan(vmId, { backup: uuid, ...wishes });
    if (plan.kind === 'refused') throw refusalError(plan);
    const { kind: _kind, steps, pointsLost, ...rest } = plan;
    return {
      ...rest,
      pointsLost: [...pointsLost],
      steps: steps.map(presentStep),
    };
  }

  /**
   * Writes a run down that deletes it; what is refused is refused at once.
   * @throws UserError `run.active` while another run of the VM goes on, `run.key-reused`, `deletion.*`
   */
  async create(id: string, wishes: DeletionWishes, { idempotencyKey, trigger }: AskedBy): Promise<RunDto> {
    const { vmId, uuid } = await this.#find(id);
    await this.plan(uuid, wishes);
    const run = await this.runs.request({
      ...{ id: randomUUID(), vmId, kind: 'delete', triggeredBy: trigger, idempotencyKey: idempotencyKey ?? null },
      requested: { backup: uuid, ...wishes },
    });
    return this.runPresenter.present(run);
  }

  /** @throws UserError `protection.nothing-there`, `protection.past`, `run.active` while a deletion of the VM goes on */
  async protect(id: string, { until, by, why }: ProtectDto): Promise<void> {
    const backup = await this.#find(id);
    const end = until === undefined ? null : new Date(until);
    if (end !== null && end.getTime() <= Date.now())
      throw new UserError('protection.past', 'invalid', `The protection would have ended already: ${end.toISOString()}.`);
    await this.work.run(async () => {
      await this.runs.refuseActive(backup.vmId, DELETING);
      const { status, removed } = found(await this.backups.findById(backup.id), 'backup', id);
      if (status !== 'BackedUp' || removed !== null)
        throw new UserError('protection.nothing-there', 'conflict', `Backup ${id} is ${status}: no restore point to protect.`);
      await this.protections.set({ backupId: backup.id, until: end, protectedBy: by, why });
    });
  }

  /** Done already is done. */
  async unprotect(id: string): Promise<void> {
    await this.protections.remove((await this.#find(id)).id);
  }

  async #find(id: string): Promise<BookedBackup> {
    return found(await this.backups.findByUuid(id), 'backup', id);
  }
}
