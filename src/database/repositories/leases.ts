import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { OperationalError } from '../../domain/errors';
import { now, nowPlus } from '../database-time';
import { VmLeaseRow } from '../entities/vm-lease-row';
import { changeRows, rowsOf, type Values } from '../rows';
import { UnitOfWork } from '../unit-of-work';

/** The right to work on one VM. The epoch goes up with every holder and is the fence on the host too. */
export interface Lease {
  readonly vmId: number;
  readonly runId: string;
  readonly owner: string;
  readonly epoch: number;
}

/** What came of asking for a lease. */
export type LeaseAnswer =
  | { readonly kind: 'held'; readonly lease: Lease }
  | { readonly kind: 'busy'; readonly by: Pick<VmLeaseRow, 'runId' | 'owner' | 'epoch' | 'leaseUntil'> };

/**
 * One run per VM at a time, across all orchestrators. All times are the database's; every change compares the epoch, so
 * that an owner that slept through its lease changes nothing.
 */
@Injectable()
export class Leases {
  #late: () => void = () => undefined;

  constructor(private readonly work: UnitOfWork) {}

  /** From now on hears of every record that came too late. */
  onLate(hear: () => void): void {
    this.#late = hear;
  }

  /** Takes the lease when nobody has it or when it has run out. */
  acquire(vmId: number, runId: string, owner: string, forMs: number): Promise<LeaseAnswer> {
    return this.work.run(async (manager) => {
      // It waits for whoever has the row, and the time is asked for after that.
      await rowFor(manager, vmId);
      const taken = await changeRows(
        manager,
        VmLeaseRow,
        { runId, owner, epoch: () => 'epoch + 1', leaseUntil: () => nowPlus(manager, forMs) },
        [`vm_id = ? AND (lease_until IS NULL OR lease_until <= ${now(manager)})`, vmId],
      );
      const row = await leaseOf(manager, vmId);
      // Made by another after this transaction began to read: the whole of it is done again, and then sees it.
      if (row === null) throw new OperationalError('database.busy', 'busy', 'The first lease of this VM is being made just now.');
      return taken === 1 ? { kind: 'held', lease: { vmId, runId, owner, epoch: row.epoch } } : { kind: 'busy', by: row };
    });
  }

  /** Keeps it for longer. False: it has run out, was given back, or is somebody else's now; stop changing anything. */
  renew(lease: Lease, forMs: number): Promise<boolean> {
    return this.work.write((manager) => change(manager, lease, { leaseUntil: () => nowPlus(manager, forMs) }, true));
  }

  /** Gives it back. False: it was somebody else's already. */
  release(lease: Lease): Promise<boolean> {
    return this.work.write((manager) => change(manager, lease, { runId: null, owner: null, leaseUntil: null }, false));
  }

  /**
   * To be called first in the transaction that records something under the lease: nobody can take the lease until that
   * transaction ends.
   * @throws OperationalError `lease.lost`
   */
  async hold(lease: Lease): Promise<void> {
    const held = await this.work.run((manager) => change(manager, lease, { epoch: lease.epoch }, true));
    if (held) return;
    this.#late();
    throw new OperationalError(
      'lease.lost',
      'busy',
      `Run ${lease.runId} no longer holds the lease on its VM; nothing was recorded.`,
      {
        facts: { vmId: lease.vmId, epoch: lease.epoch },
      },
    );
  }

  /** To be called first in a transaction: no other one that calls it goes on until that one ends, whichever orchestrator's it is. */
  async takeTurns(): Promise<void> {
    await this.work.run((manager) => rowFor(manager, NO_VM));
  }

  /** Who has it, held or not; null: nobody ever had. */
  find(vmId: number): Promise<VmLeaseRow | null> {
    return this.work.read((manager) => leaseOf(manager, vmId));
  }
}

/** Its row is nobody's lease: whoever touches it holds up the others. */
const NO_VM = 0;

/**
 * The first lease of a VM needs a row to compare with; two that make it at once find the same one. Its epochs begin at
 * the present second: a VM that comes back after it was removed, or comes to new books, has a host that remembers the
 * highest epoch of before, and no VM has a run every second.
 */
async function rowFor(manager: EntityManager, vmId: number): Promise<void> {
  const sqlite = manager.dataSource.options.type === 'better-sqlite3';
  const first = sqlite ? "CAST(strftime('%s', 'now') AS INTEGER)" : 'UNIX_TIMESTAMP()';
  const quietly = sqlite ? 'ON CONFLICT (vm_id) DO NOTHING' : 'ON DUPLICATE KEY UPDATE vm_id = vm_id';
  await manager.query(`INSERT INTO ck_vm_leases (vm_id, epoch) VALUES (?, ${first}) ${quietly}`, [vmId]);
}

const leaseOf = async (manager: EntityManager, vmId: number): Promise<VmLeaseRow | null> =>
  (await rowsOf(manager, VmLeaseRow, 'vm_id = ?', [vmId]))[0] ?? null;

async function change(
  manager: EntityManager,
  { vmId, runId, epoch }: Lease,
  set: Values<VmLeaseRow>,
  notRunOut: boolean,
): Promise<boolean> {
  const ours = `vm_id = ? AND run_id = ? AND epoch = ?${notRunOut ? ` AND lease_until > ${now(manager)}` : ''}`;
  return (await changeRows(manager, VmLeaseRow, set, [ours, vmId, runId, epoch])) === 1;
}
