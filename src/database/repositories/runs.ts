import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan, Not, type EntityManager, type FindOptionsWhere } from 'typeorm';
import { OperationalError, UserError } from '../../domain/errors';
import type { RunState } from '../../domain/run/run-state';
import { isDuplicate } from '../database-error';
import { now } from '../database-time';
import { type RunKind, RunRow } from '../entities/run-row';
import { VmLeaseRow } from '../entities/vm-lease-row';
import { cut, type Listed, type Part } from '../page';
import { UnitOfWork } from '../unit-of-work';
import { activeRun, lockVm, refuseActiveRun } from './active-run';
import { clip } from './clip';

/** A run to be written down before anything happens. */
export type NewRun = Pick<RunRow, 'id' | 'vmId' | 'kind' | 'triggeredBy' | 'idempotencyKey' | 'requested'> &
  Partial<Pick<RunRow, 'cause' | 'scheduleId' | 'scheduledFor'>>;
/** What is learnt while a run goes on. */
export type RunProgress = Partial<Pick<RunRow, 'hostId' | 'plan' | 'jobId' | 'reason' | 'progress' | 'backupId' | 'warnings'>>;
/** How a run ended. */
export type RunEnd = { readonly state: 'succeeded' | 'failed' | 'cancelled' | 'skipped' } & Partial<
  Pick<RunRow, 'backupId' | 'reason' | 'errorCode' | 'errorMessage' | 'exitCode' | 'stdout' | 'stderr' | 'warnings' | 'progress'>
>;

/** A run that is going on, claimed at an epoch of its VM's lease. */
export interface ClaimedRun {
  readonly id: string;
  readonly epoch: number;
}

/** The runs. Every change after the claim names its epoch and says whether it still counted. */
@Injectable()
export class Runs {
  #queued: (runId: string) => void = () => undefined;

  constructor(private readonly work: UnitOfWork) {}

  /** From now on hears of every run that is written down here, once it is in the books. */
  onQueued(hear: (runId: string) => void): void {
    this.#queued = hear;
  }

  /**
   * Writes a run down, or finds the one with the same idempotency key.
   * @throws UserError `run.key-reused` when that one asked for something else
   */
  create(run: NewRun): Promise<{ run: RunRow; created: boolean }> {
    return this.work.run(async (manager) => {
      try {
        await manager.insert(RunRow, { ...run, state: 'queued', epoch: 0, created: () => now(manager) });
      } catch (error) {
        if (!isDuplicate(error) || run.idempotencyKey === null) throw error;
        return { run: await sameAs(manager, run, run.idempotencyKey), created: false };
      }
      this.work.onCommit(() => this.#queued(run.id));
      return { run: await manager.findOneByOrFail(RunRow, { id: run.id }), created: true };
    });
  }

  /**
   * Writes down a run that somebody asked for.
   * @throws UserError `run.active` while another run of the VM goes on, `run.key-reused` as `create`
   */
  request(run: NewRun): Promise<RunRow> {
    return this.work.run(async (manager) => {
      await lockVm(manager, run.vmId);
      // A retry is answered whatever goes on meanwhile: nothing new is asked for.
      const before = await this.repeated(run);
      if (before !== null) return before;
      await refuseActiveRun(manager, run.vmId);
      return (await this.create(run)).run;
    });
  }

  /** What this request was written down as before; null: it is a new one. @throws UserError `run.key-reused` as `create` */
  repeated(run: Omit<NewRun, 'id'>): Promise<RunRow | null> {
    return this.work.read(async (manager) => {
      const { idempotencyKey } = run;
      const known = idempotencyKey !== null && (await manager.existsBy(RunRow, { idempotencyKey }));
      return known ? sameAs(manager, run, idempotencyKey) : null;
    });
  }

  /** Writes down a run that nobody asked for but the service. Null: one of the VM goes on or waits already, and will do. */
  requestUnlessActive(run: NewRun): Promise<RunRow | null> {
    return this.work.run(async (manager) => {
      await lockVm(manager, run.vmId);
      return (await activeRun(manager, run.vmId)) === null ? (await this.create(run)).run : null;
    });
  }

  /** @throws UserError `run.active` while a run of the VM, or one of these kinds, goes on or waits */
  refuseActive(vmId: number, kinds?: readonly RunKind[]): Promise<void> {
    return this.work.run((manager) => refuseActiveRun(manager, vmId, kinds));
  }

  find(id: string): Promise<RunRow | null> {
    return this.work.read((manager) => manager.findOneBy(RunRow, { id }));
  }

  /** Who asked for each of these runs, by its id. */
  triggers(ids: readonly string[]): Promise<Map<string, RunRow['triggeredBy']>> {
    return this.work.read(async (manager) => {
      const rows = await manager.find(RunRow, {
        where: { id: In([...ids]) },
        select: { seq: true, id: true, triggeredBy: true },
      });
      return new Map(rows.map(({ id, triggeredBy }) => [id, triggeredBy]));
    });
  }

  /** What the host script printed; null: no such run. */
  log(id: string): Promise<{ stdout: string; stderr: string } | null> {
    return this.work.read(async (manager) => {
      const run = await manager.findOne(RunRow, { where: { id }, select: { seq: true, stdout: true, stderr: true } });
      return run && { stdout: run.stdout ?? '', stderr: run.stderr ?? '' };
    });
  }

  /** In order of creation, newest first. */
  page(
    part: Part,
    { vmId, states }: { readonly vmId?: number; readonly states?: readonly RunState[] } = {},
  ): Promise<Listed<RunRow>> {
    const where: FindOptionsWhere<RunRow> = {};
    if (vmId !== undefined) where.vmId = vmId;
    if (states !== undefined) where.state = In([...states]);
    if (part.after !== undefined) where.seq = LessThan(part.after);
    return this.work.read(async (manager) =>
      cut(await manager.find(RunRow, { where, order: { seq: 'DESC' }, take: part.limit + 1 }), part.limit, ({ seq }) => seq),
    );
  }

  /** What waits and could be taken now: runs on VMs that nobody works on, oldest first. */
  queued(limit: number): Promise<RunRow[]> {
    return this.#unheld({ state: 'queued' }, 'lease.vmId = run.vmId', limit);
  }

  /** Runs that go on by the books, but whose owner's lease has run out or is another's: to be taken over. Oldest first. */
  abandoned(limit: number): Promise<RunRow[]> {
    const theirs = 'lease.vmId = run.vmId AND lease.runId = run.id AND lease.epoch = run.epoch';
    return this.#unheld({ state: In(['running', 'unknown']) }, theirs, limit);
  }

  /** Takes a queued run; false: somebody else did, or it was cancelled. */
  claim({ id, epoch }: ClaimedRun, owner: string): Promise<boolean> {
    return this.#set({ id, state: 'queued' }, (manager) => ({ state: 'running', owner, epoch, started: () => now(manager) }));
  }

  /** Takes over a run that its owner left, with the epoch of a lease acquired since. False: it ended, or went to another. */
  adopt({ id, epoch }: ClaimedRun, owner: string): Promise<boolean> {
    return this.#set({ id, state: In(['running', 'unknown']), epoch: LessThan(epoch) }, () => ({
      state: 'running',
      owner,
      epoch,
    }));
  }

  /** Somebody wants a run that goes on to stop. False: it does not go on. */
  askToAbort(id: string): Promise<boolean> {
    return this.#set({ id, state: In(['running', 'unknown']) }, (manager) => ({ abortAsked: () => now(manager) }));
  }

  /** Whether somebody wants it to stop. */
  isAbortAsked(id: string): Promise<boolean> {
    return this.work.read((manager) => manager.existsBy(RunRow, { id, abortAsked: Not(IsNull()) }));
  }

  /** Writes down what was learnt on the way. False: this run is not ours any more. */
  note({ id, epoch }: ClaimedRun, learnt: RunProgress): Promise<boolean> {
    return this.#set({ id, epoch, state: In(['running', 'unknown']) }, () => learnt);
  }

  /** The outcome could not be established yet; the host will be asked again. */
  markUnknown({ id, epoch }: ClaimedRun, errorCode: string, errorMessage: string): Promise<boolean> {
    return this.#set({ id, epoch, state: In(['running', 'unknown']) }, () => ({ state: 'unknown', errorCode, errorMessage }));
  }

  /** Ends a run. False: it ended before, or is not ours any more. */
  end({ id, epoch }: ClaimedRun, end: RunEnd): Promise<boolean> {
    return this.#set({ id, epoch, state: In(['running', 'unknown']) }, (manager) => ({
      errorCode: null,
      errorMessage: null,
      ...end,
      ...(end.stdout ? { stdout: clip(end.stdout) } : {}),
      ...(end.stderr ? { stderr: clip(end.stderr) } : {}),
      ended: () => now(manager),
    }));
  }

  /** Something that came after its end. */
  warn(id: string, warning: string): Promise<void> {
    return this.work.run(async (manager) => {
      const { warnings } = await manager.findOneByOrFail(RunRow, { id });
      await manager.update(RunRow, { id }, { warnings: [...(warnings ?? []), warning] });
    });
  }

  /** Ends a run that nobody has taken yet. False: somebody has. */
  endQueued(id: string, end: RunEnd): Promise<boolean> {
    return this.#set({ id, state: 'queued' }, (manager) => ({ ...end, ended: () => now(manager) }));
  }

  #unheld(where: FindOptionsWhere<RunRow>, lease: string, limit: number): Promise<RunRow[]> {
    return this.work.read((manager) =>
      manager
        .createQueryBuilder(RunRow, 'run')
        .leftJoin(VmLeaseRow, 'lease', lease)
        .where(where)
        .andWhere(`(lease.leaseUntil IS NULL OR lease.leaseUntil <= ${now(manager)})`)
        .orderBy('run.seq', 'ASC')
        .limit(limit)
        .getMany(),
    );
  }

  #set(
    where: FindOptionsWhere<RunRow>,
    change: (manager: EntityManager) => Parameters<EntityManager['update']>[2],
  ): Promise<boolean> {
    return this.work.run(async (manager) => (await manager.update(RunRow, where, change(manager))).affected === 1);
  }
}

async function sameAs(manager: EntityManager, asked: Omit<NewRun, 'id'>, idempotencyKey: string): Promise<RunRow> {
  const run = await manager.findOneBy(RunRow, { idempotencyKey });
  // Written by another after this transaction began to read: the whole of it is done again, and then sees it.
  if (run === null) throw new OperationalError('database.busy', 'busy', 'The same request is being written down just now.');
  if (run.vmId === asked.vmId && run.kind === asked.kind && JSON.stringify(run.requested) === JSON.stringify(asked.requested))
    return run;
  throw new UserError('run.key-reused', 'conflict', 'This Idempotency-Key was used for another request.', {
    next: 'Send a new key, or the same request.',
    facts: { runId: run.id },
  });
}
