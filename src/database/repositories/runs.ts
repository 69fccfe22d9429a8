import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan, MoreThan, type EntityManager, type FindOptionsWhere, type SelectQueryBuilder } from 'typeorm';
import { InvariantError, OperationalError, UserError } from '../../domain/errors';
import { hasEnded, RUN_STATES, type RunState, statesBefore } from '../../domain/run/run-state';
import { type BytesDone, tellProgress } from '../../domain/run/tell-progress';
import { isDuplicate } from '../database-error';
import { now, nowPlus } from '../database-time';
import { type RunKind, RunRow } from '../entities/run-row';
import { VmLeaseRow } from '../entities/vm-lease-row';
import { cut, type Listed, type Part } from '../page';
import { addRow, addRows, changeRows, hasRow, marks, rowsOf, type Values, type Where } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import type { Lease } from './leases';
import { activeRun, lockVm, lockVms, refuseActiveRun } from './active-run';
import { clip } from './clip';
import { addEvent, addEvents, type NewEvent } from './events';

/** A run to be written down before anything happens. */
export type NewRun = Pick<RunRow, 'id' | 'vmId' | 'kind' | 'triggeredBy' | 'idempotencyKey' | 'requested'> &
  Partial<Pick<RunRow, 'cause' | 'scheduleId' | 'scheduledFor' | 'startUntil' | 'stopAt'>>;
/** What is learnt while a run goes on. */
export type RunProgress = Partial<Pick<RunRow, 'hostId' | 'plan' | 'jobId' | 'reason' | 'progress' | 'backupId' | 'warnings'>>;
/** How a run ended. */
export type RunEnd = { readonly state: 'succeeded' | 'failed' | 'cancelled' | 'skipped' } & Partial<
  Pick<RunRow, 'backupId' | 'reason' | 'errorCode' | 'errorMessage' | 'exitCode' | 'stdout' | 'stderr' | 'warnings' | 'progress'>
>;

/** When a run that waits may begin instead. */
export type RunStart = Pick<RunRow, 'notBefore' | 'startUntil' | 'stopAt'>;

/** An attempt that failed, and how long the next one is waited for. */
export interface RunRetry {
  readonly errorCode: string;
  readonly errorMessage: string;
  /** The history of the run, this attempt included. */
  readonly warnings: string[];
  readonly afterMs: number;
}

/** A run that waits though its window has closed. */
export type ClosedRow = Pick<RunRow, 'id' | 'vmId' | 'scheduleId' | 'created' | 'notBefore'> & { readonly startUntil: Date };

/** What became of a run. */
export type RunEvent = Pick<NewEvent, 'kind' | 'message' | 'reason' | 'facts'>;

/** A run that is going on, claimed at an epoch of its VM's lease. */
export interface ClaimedRun {
  readonly id: string;
  readonly epoch: number;
}

/** The runs. Every change after the claim names its epoch and says whether it still counted. */
@Injectable()
export class Runs {
  #queued: (runId: string) => void = () => undefined;
  #told: (run: RunRow, event: RunEvent) => void = () => undefined;
  #late: () => void = () => undefined;

  constructor(private readonly work: UnitOfWork) {}

  /** From now on hears of every run that is written down here, once it is in the books. */
  onQueued(hear: (runId: string) => void): void {
    this.#queued = hear;
  }

  /** From now on hears of all that becomes of runs by what is written here, once it is in the books. */
  onTold(hear: (run: RunRow, event: RunEvent) => void): void {
    this.#told = hear;
  }

  /** From now on hears of every write under a lease that came too late: the run had ended, or had another owner. */
  onLate(hear: () => void): void {
    this.#late = hear;
  }

  /**
   * Writes a run down, or finds the one with the same idempotency key.
   * @throws UserError `run.key-reused` when that one asked for something else
   */
  create(run: NewRun): Promise<{ run: RunRow; created: boolean }> {
    return this.work.run(async (manager) => {
      try {
        await addRow(manager, RunRow, { ...run, state: 'queued', epoch: 0, attempt: 0, created: () => now(manager) });
        await addEvent(manager, queuedEvent(run));
      } catch (error) {
        if (!isDuplicate(error) || run.idempotencyKey === null) throw error;
        return { run: await sameAs(manager, run, run.idempotencyKey), created: false };
      }
      this.work.onCommit(() => this.#queued(run.id));
      return { run: await runOf(manager, run.id), created: true };
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

  /** The backups of these VMs that go on or wait, by VM; until the transaction ends nobody else asks for one. */
  activeBackups(vmIds: readonly number[]): Promise<Map<number, RunRow>> {
    return this.work.run(async (manager) => {
      await lockVms(manager, vmIds);
      const state = In(RUN_STATES.filter((one) => !hasEnded(one)));
      const rows = await manager.findBy(RunRow, { vmId: In([...vmIds]), kind: 'backup', state });
      return new Map(rows.map((run) => [run.vmId, run]));
    });
  }

  /** Runs of these VMs that were made for one of these instants, whatever schedule named it. */
  ofInstants(vmIds: readonly number[], instants: readonly Date[]): Promise<RunRow[]> {
    return this.work.read((manager) =>
      manager.find(RunRow, {
        where: { vmId: In([...vmIds]), scheduledFor: In([...instants]) },
        select: { seq: true, id: true, vmId: true, scheduledFor: true },
      }),
    );
  }

  /** Writes down many that are new for sure. */
  createMany(runs: readonly NewRun[]): Promise<void> {
    return this.work.run(async (manager) => {
      if (runs.length === 0) return;
      const created = (): string => now(manager);
      await addRows(
        manager,
        RunRow,
        runs.map((run) => ({ ...run, state: 'queued' as const, epoch: 0, attempt: 0, created })),
      );
      await addEvents(manager, runs.map(queuedEvent));
      this.work.onCommit(() => runs.forEach(({ id }) => this.#queued(id)));
    });
  }

  /** The newest backups of a VM that were taken. */
  lastBackups(vmId: number, limit: number): Promise<RunRow[]> {
    const where = { vmId, kind: 'backup', state: 'succeeded' } as const;
    return this.work.read((manager) => manager.find(RunRow, { where, order: { seq: 'DESC' }, take: limit }));
  }

  /** Runs that go on though their window has closed, and that nobody has asked to stop yet. */
  outliving(): Promise<RunRow[]> {
    return this.work.read((manager) =>
      manager
        .createQueryBuilder(RunRow, 'run')
        .where({ state: In(['running', 'unknown']), abortAsked: IsNull() })
        .andWhere(`run.stopAt <= ${now(manager)}`)
        .getMany(),
    );
  }

  /**
   * Runs that wait though their window has closed, the longest closed first, so many at most; until the transaction ends nobody else has them.
   */
  closed(limit: number): Promise<ClosedRow[]> {
    return this.work.run(async (manager) => {
      const find = (): SelectQueryBuilder<RunRow> =>
        manager
          .createQueryBuilder(RunRow, 'run')
          .select(['run.seq', 'run.id', 'run.vmId', 'run.scheduleId', 'run.created', 'run.notBefore', 'run.startUntil'])
          .where({ state: 'queued' })
          .andWhere(`run.startUntil <= ${now(manager)}`)
          .orderBy('run.startUntil', 'ASC')
          .limit(limit);
      const isClosed = (run: RunRow): run is RunRow & ClosedRow => run.startUntil !== null;
      if (manager.dataSource.options.type === 'better-sqlite3') return (await find().getMany()).filter(isClosed);
      // Nothing is locked where there is nothing to do, which is nearly always.
      if (!(await find().getExists())) return [];
      return (await find().setLock('pessimistic_write').getMany()).filter(isClosed);
    });
  }

  /** These wait for another time from now on. To be told: what each of them waits for. */
  putOff(ids: readonly string[], start: RunStart, events: readonly NewEvent[]): Promise<void> {
    return this.work.run(async (manager) => {
      await manager.update(RunRow, { id: In([...ids]), state: 'queued' }, start);
      await addEvents(manager, events);
    });
  }

  /** What made those of these VMs that wait has changed: when they may start is looked at anew. */
  judgeAnew(vmIds: readonly number[]): Promise<void> {
    return this.work.run(async (manager) => {
      const where = { vmId: In([...vmIds]), state: 'queued', triggeredBy: 'schedule' } as const;
      await manager.update(RunRow, where, { startUntil: () => now(manager) });
    });
  }

  /** @throws UserError `run.active` while a run of the VM, or one of these kinds, goes on or waits */
  refuseActive(vmId: number, kinds?: readonly RunKind[]): Promise<void> {
    return this.work.run((manager) => refuseActiveRun(manager, vmId, kinds));
  }

  find(id: string): Promise<RunRow | null> {
    return this.work.read(async (manager) => (await rowsOf(manager, RunRow, 'id = ?', [id]))[0] ?? null);
  }

  /** The plans of the newest backups of a VM that were planned, whatever became of them, newest first. */
  plans(vmId: number, limit: number): Promise<RunRow['plan'][]> {
    return this.work.read(async (manager) => {
      const planned = `vm_id = ? AND kind = 'backup' AND plan IS NOT NULL ORDER BY seq DESC LIMIT ${limit}`;
      const rows = await rowsOf(manager, RunRow, planned, [vmId], ['plan']);
      return rows.map(({ plan }) => plan);
    });
  }

  /** Who asked for each of these runs, by its id. */
  triggers(ids: readonly string[]): Promise<Map<string, RunRow['triggeredBy']>> {
    return this.work.read(async (manager) => {
      const rows = await rowsOf(manager, RunRow, `id IN (${marks(ids)})`, ids, ['id', 'triggeredBy']);
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

  /** Runs that go on by the books, but whose owner's lease has run out or is another's: to be taken over. Oldest first. */
  abandoned(limit: number): Promise<RunRow[]> {
    const theirs = 'lease.vmId = run.vmId AND lease.runId = run.id AND lease.epoch = run.epoch';
    return this.work.read((manager) =>
      manager
        .createQueryBuilder(RunRow, 'run')
        .leftJoin(VmLeaseRow, 'lease', theirs)
        .where({ state: In(statesBefore('running', 'reaper')) })
        .andWhere(`(lease.leaseUntil IS NULL OR lease.leaseUntil <= ${now(manager)})`)
        .orderBy('run.seq', 'ASC')
        .limit(limit)
        .getMany(),
    );
  }

  /**
   * Takes a queued run; null: somebody else did, it was cancelled, it may not begin yet or no more, or another run of the VM goes on. One that
   * was taken and waits again went to a later lease than a claimer's that has slept since.
   */
  claim({ vmId, runId: id, owner, epoch }: Lease): Promise<RunRow | null> {
    return this.work.run(async (manager) => {
      if (await hasRow(manager, RunRow, ["vm_id = ? AND state IN ('running', 'unknown')", vmId])) return null;
      const isDue = `(not_before IS NULL OR not_before <= ${now(manager)})`;
      const isOpen = `(start_until IS NULL OR start_until > ${now(manager)})`;
      return this.#tell(
        { id, states: ['queued'], and: [`vm_id = ? AND epoch < ? AND ${isDue} AND ${isOpen}`, vmId, epoch] },
        () => ({ ...{ state: 'running' as const, owner, epoch }, started: () => now(manager) }),
        () => ({ kind: 'started', message: `Orchestrator ${owner} drives it.` }),
      );
    });
  }

  /** Takes over a run that its owner left, with the epoch of a lease acquired since. Null: it ended, or went to another. */
  adopt({ vmId, runId: id, owner, epoch }: Lease): Promise<RunRow | null> {
    return this.#tell(
      { id, states: statesBefore('running', 'reaper'), and: ['vm_id = ? AND epoch < ?', vmId, epoch] },
      () => ({ state: 'running', owner, epoch }),
      () => ({ kind: 'recovered', message: `Orchestrator ${owner} took it over: its owner gave no sign of life.` }),
    );
  }

  /** Somebody wants a run that goes on to stop. False: it does not go on. */
  askToAbort(id: string, message = 'It is to stop.'): Promise<boolean> {
    return this.#set(
      { id, states: ['running', 'unknown'] },
      (manager) => ({ abortAsked: () => now(manager) }),
      () => ({ kind: 'abort-asked', message }),
    );
  }

  /** Whether somebody wants it to stop. */
  isAbortAsked(id: string): Promise<boolean> {
    return this.work.read((manager) => hasRow(manager, RunRow, ['id = ? AND abort_asked IS NOT NULL', id]));
  }

  /** Writes down what was learnt on the way, and tells of it where that is an event. False: this run is not ours any more. */
  note({ id, epoch }: ClaimedRun, learnt: RunProgress, event?: RunEvent): Promise<boolean> {
    return this.#set({ id, epoch, states: ['running', 'unknown'] }, () => learnt, event && (() => event));
  }

  /**
   * How far it is, and from time to time an event of it.
   * @param before bytes that were done when that was last noted
   * @returns false: this run is not ours any more
   */
  noteProgress({ id, epoch }: ClaimedRun, progress: BytesDone, before: number): Promise<boolean> {
    return this.#set(
      { id, epoch, states: ['running', 'unknown'] },
      (manager) => ({ progress, ...(progress.done > before ? { progressed: () => now(manager) } : {}) }),
      // Few have something to tell, and most of those are too young: only they are read again.
      tellProgress(before, progress, Infinity) === null ? undefined : (run) => progressEvent(run, progress, before),
    );
  }

  /** Runs that have not ended, by their order of creation, from one on. */
  unended(after: number, limit: number): Promise<RunRow[]> {
    const where = { state: In(RUN_STATES.filter((state) => !hasEnded(state))), seq: MoreThan(after) };
    return this.work.read((manager) => manager.find(RunRow, { where, order: { seq: 'ASC' }, take: limit }));
  }

  /** The outcome could not be established yet; the host will be asked again. It is told once for each reason, however long that takes. */
  markUnknown({ id, epoch }: ClaimedRun, errorCode: string, errorMessage: string): Promise<boolean> {
    return this.work.run(async (manager) => {
      const told = await hasRow(manager, RunRow, [
        "id = ? AND epoch = ? AND state = 'unknown' AND error_code = ?",
        id,
        epoch,
        errorCode,
      ]);
      return this.#set(
        { id, epoch, states: statesBefore('unknown', 'runner') },
        () => ({ state: 'unknown', errorCode, errorMessage }),
        told ? undefined : () => ({ kind: 'unknown', reason: errorCode, message: errorMessage }),
      );
    });
  }

  /** The host of a run that nobody heard of answers, and the job goes on: it has its place again. */
  hearAgain({ id, epoch }: ClaimedRun): Promise<boolean> {
    return this.#set(
      { id, epoch, states: ['unknown'] },
      () => ({ state: 'running', errorCode: null, errorMessage: null }),
      () => ({ kind: 'answered', message: 'Its host answers again, and the run goes on.' }),
    );
  }

  /**
   * An attempt is over and has left nothing: the run waits for the next one as if nothing had been decided yet. False: it ended before, is
   * not ours any more, or somebody wants it to stop.
   */
  retryLater({ id, epoch }: ClaimedRun, { afterMs, ...failed }: RunRetry): Promise<boolean> {
    const where: OneRun = { id, epoch, states: statesBefore('queued', 'runner'), and: ['abort_asked IS NULL'] };
    return this.#set(
      where,
      (manager) => ({
        ...{ ...failed, state: 'queued', attempt: () => 'attempt + 1', notBefore: () => nowPlus(manager, afterMs) },
        ...{ owner: null, hostId: null, plan: null, jobId: null, reason: null, progress: null, progressed: null, started: null },
      }),
      ({ errorCode, errorMessage, notBefore }) => ({
        ...{ kind: 'retried', reason: errorCode },
        message: `It is tried again from ${notBefore?.toISOString() ?? 'now'} on: ${errorMessage ?? ''}`,
      }),
    );
  }

  /**
   * A run that was taken and has begun nothing waits again, and no attempt is counted: it came to what is in maintenance. False: it ended
   * before, is not ours any more, or somebody wants it to stop.
   */
  putBack({ id, epoch }: ClaimedRun, reason: string, message: string): Promise<boolean> {
    const where: OneRun = { id, epoch, states: statesBefore('queued', 'runner'), and: ['abort_asked IS NULL'] };
    return this.#set(
      where,
      () => ({ state: 'queued', owner: null, started: null }),
      () => ({ kind: 'put-back', reason, message }),
    );
  }

  /** Ends a run. Null: it ended before, or is not ours any more. */
  end({ id, epoch }: ClaimedRun, end: RunEnd): Promise<RunRow | null> {
    return this.#tell(
      { id, epoch, states: statesBefore(end.state, 'runner') },
      (manager) => ({
        errorCode: null,
        errorMessage: null,
        ...end,
        ...(end.stdout ? { stdout: clip(end.stdout) } : {}),
        ...(end.stderr ? { stderr: clip(end.stderr) } : {}),
        ended: () => now(manager),
      }),
      endEvent,
    );
  }

  /** Something that came after its end. */
  warn(id: string, warning: string): Promise<void> {
    return this.work.run(async (manager) => {
      const { warnings } = await manager.findOneByOrFail(RunRow, { id });
      await manager.update(RunRow, { id }, { warnings: [...(warnings ?? []), warning] });
    });
  }

  /** Ends a run that waits. False: somebody has taken it. */
  endQueued(id: string, end: RunEnd & { readonly state: 'cancelled' | 'skipped' }): Promise<boolean> {
    const by = end.state === 'skipped' ? 'planner' : 'operator';
    return this.#set({ id, states: statesBefore(end.state, by) }, (manager) => ({ ...end, ended: () => now(manager) }), endEvent);
  }

  /** What becomes of a run is told in the same transaction. False: it does not stand where it would have to, or is not ours any more. */
  async #set(where: OneRun, change: Change, event?: Tell): Promise<boolean> {
    if (event !== undefined) return (await this.#tell(where, change, event)) !== null;
    return this.work.write((manager) => this.#update(manager, where, change));
  }

  /** The run as it is now; null as `#set`. */
  #tell(where: OneRun, change: Change, event: Tell): Promise<RunRow | null> {
    return this.work.run(async (manager) => {
      if (!(await this.#update(manager, where, change))) return null;
      const run = await runOf(manager, where.id);
      const told = event(run);
      if (told === null) return run;
      await addEvent(manager, { ...aboutOf(run), ...told });
      this.work.onCommit(() => this.#told(run, told));
      return run;
    });
  }

  async #update(manager: EntityManager, { id, epoch, states, and = ['1 = 1'] }: OneRun, change: Change): Promise<boolean> {
    const [more, ...parameters] = and;
    const ours = epoch === undefined ? '' : ' AND epoch = ?';
    const where: Where = [
      `id = ? AND state IN (${marks(states)})${ours} AND ${more}`,
      ...[id, ...states, ...(epoch === undefined ? [] : [epoch]), ...parameters],
    ];
    if ((await changeRows(manager, RunRow, change(manager), where)) === 1) return true;
    if (epoch !== undefined) this.work.onCommit(this.#late);
    return false;
  }
}

/** A run that is to stand in one of these states still, and where an epoch is named, to be the claimer's. */
interface OneRun {
  readonly id: string;
  readonly epoch?: number;
  readonly states: readonly RunState[];
  readonly and?: Where;
}
type Change = (manager: EntityManager) => Values<RunRow>;
type Tell = (run: RunRow) => RunEvent | null;

const ASKED: Readonly<Record<RunRow['triggeredBy'], string>> = {
  rest: 'It was asked for over REST.',
  cli: 'It was asked for on the command line.',
  schedule: 'It was due.',
  service: 'The service asked for it by itself.',
};

const aboutOf = ({
  id,
  vmId,
  scheduleId,
  hostId,
}: NewRun & Partial<Pick<RunRow, 'hostId'>>): Omit<NewEvent, 'kind' | 'message'> => ({
  runId: id,
  vmId,
  scheduleId: scheduleId ?? null,
  hostId: hostId ?? null,
});

const queuedEvent = (run: NewRun): NewEvent => ({
  ...aboutOf(run),
  kind: 'queued',
  reason: run.triggeredBy,
  message: run.cause ?? ASKED[run.triggeredBy],
});

const endEvent = ({ kind, state, reason, errorCode, errorMessage }: RunRow): RunEvent => ({
  kind: state,
  reason: errorCode ?? reason,
  message: errorMessage ?? `The ${kind} ended: ${state}.`,
});

function progressEvent({ started, progressed }: RunRow, progress: BytesDone, before: number): RunEvent | null {
  const goneOnMs = (progressed?.getTime() ?? 0) - (started?.getTime() ?? Infinity);
  const news = tellProgress(before, progress, goneOnMs);
  return news && { kind: 'progress', reason: news.code, message: news.sentence, facts: progress };
}

async function runOf(manager: EntityManager, id: string): Promise<RunRow> {
  const [run] = await rowsOf(manager, RunRow, 'id = ?', [id]);
  if (run === undefined) throw new InvariantError('run.gone', `Run ${id} was changed and is not in the books.`);
  return run;
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
