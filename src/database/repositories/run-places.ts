import { Injectable } from '@nestjs/common';
import { ACTIVE_CHECKPOINT_KEY } from '../../domain/chain/chain-keys';
import { momentOf, now, nowPlus, type RawMoment } from '../database-time';
import { UnitOfWork } from '../unit-of-work';
import { type AsIf, atRest, type Resting, restingFor } from './at-rest';
import type { PlacedRow, RawRow } from './placed-row';

const NONE_RESTS: PlacedRow['resting'] = { host: null, repositories: [] };

/** For so long after a restart of a host its VMs are asked for: a week, in which most have their backup. It costs a look at the evidence of each. */
const STORM_MS = 7 * 86_400_000;

/** Where runs have their places. There may be ten thousand that wait, and they are looked at often: one statement, no entities. */
@Injectable()
export class RunPlaces {
  constructor(private readonly work: UnitOfWork) {}

  /**
   * All runs that have not ended, oldest first, and the time that it is.
   * @param only of those that wait, this one alone
   * @param asIf what is taken for one in maintenance
   */
  look(only: string | null = null, asIf?: AsIf): Promise<{ readonly now: Date; readonly rows: readonly PlacedRow[] }> {
    return this.work.read(async (manager) => {
      const [clock] = await manager.query<{ now: RawMoment }[]>(`SELECT ${now(manager)} AS now`);
      const rows = await manager.query<RawRow[]>(
        `SELECT run.id, run.vm_id AS vmId, run.state, run.kind, run.triggered_by AS triggeredBy, run.requested,
           CASE WHEN run.state = 'queued' THEN NULL ELSE run.plan END AS plan, run.created, run.not_before AS notBefore,
           run.start_until AS startUntil, run.attempt, run.abort_asked AS abortAsked,
           host.name AS host, host.uuid AS hostId, repository.name AS repository, repository.uuid AS repositoryId, vm.data_center_id AS zone,
           (SELECT MAX(detail.value) FROM vm_instance_details detail WHERE detail.vm_id = run.vm_id AND detail.name = ?) AS checkpoint,
           CASE WHEN access.restarted > ${nowPlus(manager, -STORM_MS)} AND NOT COALESCE(
             (SELECT seen.at FROM ck_evidence seen WHERE seen.vm_id = run.vm_id ORDER BY seen.id DESC LIMIT 1) >= access.restarted, 0
           ) THEN 1 ELSE 0 END AS restarted,
           CASE WHEN lease.lease_until > ${now(manager)} THEN 1 ELSE 0 END AS leased
         FROM ck_runs run
           LEFT JOIN vm_instance vm ON vm.id = run.vm_id
           LEFT JOIN host ON host.id = COALESCE(run.host_id, vm.host_id)
           LEFT JOIN ck_hosts access ON access.host_id = host.id
           LEFT JOIN backup_offering offering ON offering.id = vm.backup_offering_id
           LEFT JOIN backup_repository repository ON repository.uuid = offering.external_id
           LEFT JOIN ck_vm_leases lease ON lease.vm_id = run.vm_id
         WHERE run.state IN ('running', 'unknown') OR ${only === null ? "run.state = 'queued'" : 'run.id = ?'} ORDER BY run.seq`,
        [ACTIVE_CHECKPOINT_KEY, ...(only === null ? [] : [only])],
      );
      const resting = await restingFor(manager, rows, asIf);
      return { now: momentOf((clock as { now: RawMoment }).now), rows: rows.map((row) => placed(row, resting)) };
    });
  }
}

// Field by field: to spread ten thousand of them takes several times as long.
function placed(row: RawRow, resting: Resting): PlacedRow {
  const run = {
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
    startUntil: row.startUntil === null ? null : momentOf(row.startUntil),
    attempt: Number(row.attempt),
    abortAsked: row.abortAsked === null ? null : momentOf(row.abortAsked),
    hasCheckpoint: row.checkpoint !== null,
    restarted: Number(row.restarted) === 1,
    leased: Number(row.leased) === 1,
    resting: NONE_RESTS,
  };
  return resting.hosts.length + resting.repositories.length === 0 ? run : atRest(run, row, resting);
}
