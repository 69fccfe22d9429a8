import { Injectable } from '@nestjs/common';
import { ACTIVE_CHECKPOINT_KEY } from '../../domain/chain/chain-keys';
import { now } from '../database-time';
import type { RunRow } from '../entities/run-row';
import { UnitOfWork } from '../unit-of-work';

/** A run that has not ended, with all that places are given by. */
export interface PlacedRow extends Pick<
  RunRow,
  'id' | 'vmId' | 'state' | 'kind' | 'triggeredBy' | 'requested' | 'plan' | 'created' | 'notBefore'
> {
  /** Names; null: the books do not say. */
  readonly host: string | null;
  readonly repository: string | null;
  readonly zone: string | null;
  readonly inMaintenance: boolean;
  /** The VM has a bitmap that an incremental can build on, by the books. */
  readonly hasCheckpoint: boolean;
  /** Somebody holds the lease on its VM. */
  readonly leased: boolean;
}

type RawMoment = Date | string;
type RawRow = Omit<PlacedRow, 'requested' | 'plan' | 'created' | 'notBefore' | 'inMaintenance' | 'hasCheckpoint' | 'leased'> & {
  readonly requested: string;
  readonly plan: string | null;
  readonly created: RawMoment;
  readonly notBefore: RawMoment | null;
  readonly hostState: string | null;
  readonly checkpoint: string | null;
  readonly leased: number | string;
};

/** Where runs have their places. There may be ten thousand that wait, and they are looked at often: one statement, no entities. */
@Injectable()
export class RunPlaces {
  constructor(private readonly work: UnitOfWork) {}

  /**
   * All runs that have not ended, oldest first, and the time that it is.
   * @param only of those that wait, this one alone
   */
  look(only: string | null = null): Promise<{ readonly now: Date; readonly rows: readonly PlacedRow[] }> {
    return this.work.read(async (manager) => {
      const [clock] = await manager.query<{ now: RawMoment }[]>(`SELECT ${now(manager)} AS now`);
      const rows = await manager.query<RawRow[]>(
        `SELECT run.id, run.vm_id AS vmId, run.state, run.kind, run.triggered_by AS triggeredBy, run.requested,
           CASE WHEN run.state = 'queued' THEN NULL ELSE run.plan END AS plan, run.created, run.not_before AS notBefore,
           host.name AS host, host.resource_state AS hostState, repository.name AS repository, vm.data_center_id AS zone,
           (SELECT MAX(detail.value) FROM vm_instance_details detail WHERE detail.vm_id = run.vm_id AND detail.name = ?) AS checkpoint,
           CASE WHEN lease.lease_until > ${now(manager)} THEN 1 ELSE 0 END AS leased
         FROM ck_runs run
           LEFT JOIN vm_instance vm ON vm.id = run.vm_id
           LEFT JOIN host ON host.id = COALESCE(run.host_id, vm.host_id)
           LEFT JOIN backup_offering offering ON offering.id = vm.backup_offering_id
           LEFT JOIN backup_repository repository ON repository.uuid = offering.external_id
           LEFT JOIN ck_vm_leases lease ON lease.vm_id = run.vm_id
         WHERE run.state IN ('running', 'unknown') OR ${only === null ? "run.state = 'queued'" : 'run.id = ?'} ORDER BY run.seq`,
        [ACTIVE_CHECKPOINT_KEY, ...(only === null ? [] : [only])],
      );
      return { now: momentOf((clock as { now: RawMoment }).now), rows: rows.map(placed) };
    });
  }
}

// One by one: to spread ten thousand of them takes several times as long.
const placed = (row: RawRow): PlacedRow => ({
  id: row.id,
  vmId: Number(row.vmId),
  state: row.state,
  kind: row.kind,
  triggeredBy: row.triggeredBy,
  host: row.host,
  repository: row.repository,
  zone: row.zone === null ? null : String(row.zone),
  requested: JSON.parse(row.requested) as object,
  plan: row.plan === null ? null : (JSON.parse(row.plan) as object),
  created: momentOf(row.created),
  notBefore: row.notBefore === null ? null : momentOf(row.notBefore),
  inMaintenance: row.hostState === 'Maintenance',
  hasCheckpoint: row.checkpoint !== null,
  leased: Number(row.leased) === 1,
});

/** A server's driver makes a Date of it; SQLite has the text that `database-time.ts` writes. */
const momentOf = (value: RawMoment): Date => (value instanceof Date ? value : new Date(`${value.replace(' ', 'T')}Z`));
