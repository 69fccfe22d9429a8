import { In, type EntityManager } from 'typeorm';
import { UserError } from '../../domain/errors';
import { hasEnded, RUN_STATES } from '../../domain/run/run-state';
import { type RunKind, RunRow } from '../entities/run-row';
import { VmRow } from '../entities/vm-row';

/**
 * Until the transaction ends nobody else asks for a run of this VM or changes what one goes by. To be called before
 * anything is read: a server shows what was committed before the first reading.
 */
export const lockVm = (manager: EntityManager, vmId: number): Promise<void> => lockVms(manager, [vmId]);

/** The same for many, in one order: two that do it wait for each other instead of blocking each other. */
export async function lockVms(manager: EntityManager, vmIds: readonly number[]): Promise<void> {
  const vm = manager
    .createQueryBuilder(VmRow, 'vm')
    .select('vm.id')
    .where({ id: In([...vmIds]) })
    .orderBy('vm.id');
  // SQLite has one writer, and this is it.
  if (manager.dataSource.options.type !== 'better-sqlite3') vm.setLock('pessimistic_write');
  await vm.getMany();
}

/** The run of the VM, or the one of these kinds, that goes on or waits; null: none does. */
export const activeRun = (manager: EntityManager, vmId: number, kinds?: readonly RunKind[]): Promise<RunRow | null> =>
  manager.findOneBy(RunRow, {
    ...{ vmId, state: In(RUN_STATES.filter((state) => !hasEnded(state))) },
    ...(kinds === undefined ? {} : { kind: In([...kinds]) }),
  });

/**
 * Refuses while a run of the VM, or one of these kinds, goes on or waits.
 * @throws UserError `run.active`
 */
export async function refuseActiveRun(manager: EntityManager, vmId: number, kinds?: readonly RunKind[]): Promise<void> {
  await lockVm(manager, vmId);
  const active = await activeRun(manager, vmId, kinds);
  if (active === null) return;
  throw new UserError('run.active', 'busy', `Run ${active.id} of this VM is ${active.state}; one thing at a time per VM.`, {
    next: `Follow it at /api/v1/runs/${active.id} and come back when it has ended, or abort it.`,
    facts: { runId: active.id, state: active.state },
  });
}
