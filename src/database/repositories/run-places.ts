import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { ACTIVE_CHECKPOINT_KEY } from '../../domain/chain/chain-keys';
import { momentOf, now, nowPlus, type RawMoment } from '../database-time';
import { BackupRow } from '../entities/backup-row';
import type { RunRow } from '../entities/run-row';
import { UnitOfWork } from '../unit-of-work';
import { liesIn, withPlace } from './lies-in';
import { type Named, restingHosts, restingRepositories } from './maintenances';

/** A run that has not ended, with all that places are given by. */
export interface PlacedRow extends Pick<
  RunRow,
  'id' | 'vmId' | 'state' | 'kind' | 'triggeredBy' | 'requested' | 'plan' | 'created' | 'notBefore' | 'abortAsked'
> {
  /**
   * Names; null: the books do not say. The repository is that of the VM's offering, unless it needs another that is in maintenance, or does
   * not need that one which is.
   */
  readonly host: string | null;
  readonly repository: string | null;
  readonly zone: string | null;
  /** Of those in maintenance: the host that it cannot do without, and the repositories that it writes to or reads from. */
  readonly resting: { readonly host: string | null; readonly repositories: readonly string[] };
  /** The VM has a bitmap that an incremental can build on, by the books. */
  readonly hasCheckpoint: boolean;
  /** Its host was restarted, and nobody has looked at the VM since: whether that bitmap has survived is not known. */
  readonly restarted: boolean;
  /** Somebody holds the lease on its VM. */
  readonly leased: boolean;
}

type RawRow = Omit<
  PlacedRow,
  'requested' | 'plan' | 'created' | 'notBefore' | 'abortAsked' | 'resting' | 'hasCheckpoint' | 'restarted' | 'leased'
> & {
  readonly requested: string;
  readonly plan: string | null;
  readonly created: RawMoment;
  readonly notBefore: RawMoment | null;
  readonly abortAsked: RawMoment | null;
  readonly hostId: string | null;
  readonly repositoryId: string | null;
  readonly checkpoint: string | null;
  readonly restarted: number | string;
  readonly leased: number | string;
};
type Run = Omit<PlacedRow, 'resting'>;

const NONE_RESTS: PlacedRow['resting'] = { host: null, repositories: [] };

/** A host or a repository that is taken for one in maintenance. */
export type AsIf = { readonly host: Named } | { readonly repository: Named };

/** All that is in maintenance, as far as runs need it. */
interface Resting {
  readonly hosts: readonly Named[];
  readonly repositories: readonly (Named & {
    /** What lies there of the VMs of runs that take no backup: uuids of backups by VM. */
    readonly backups: ReadonlyMap<number, ReadonlySet<string>>;
  })[];
}

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
           run.abort_asked AS abortAsked,
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
    abortAsked: row.abortAsked === null ? null : momentOf(row.abortAsked),
    hasCheckpoint: row.checkpoint !== null,
    restarted: Number(row.restarted) === 1,
    leased: Number(row.leased) === 1,
    resting: NONE_RESTS,
  };
  return resting.hosts.length + resting.repositories.length === 0 ? run : atRest(run, row, resting);
}

function atRest(run: PlacedRow, { hostId, repositoryId }: RawRow, resting: Resting): PlacedRow {
  const repositories = restingIn(run, repositoryId, resting);
  const offered = resting.repositories.some(({ uuid }) => uuid === repositoryId) ? null : run.repository;
  return {
    ...run,
    repository: repositories[0] ?? offered,
    resting: { host: restingHost(run, hostId, resting), repositories },
  };
}

/** Disks can be restored on any host, unless one was named; what only needs the NAS is done by whichever host is there. */
function restingHost({ kind, requested, host }: Run, hostId: string | null, { hosts }: Resting): string | null {
  const { way, host: named } = requested as { readonly way?: string; readonly host?: string | null };
  const its = kind === 'backup' || way === 'in-place' ? [hostId, host] : [named];
  return hosts.find(({ uuid, name }) => its.includes(uuid) || its.includes(name))?.name ?? null;
}

function restingIn({ kind, vmId, requested, plan }: Run, offered: string | null, { repositories }: Resting): string[] {
  const planned = (plan as { readonly repositoryId?: string } | null)?.repositoryId;
  const { backup } = requested as { readonly backup?: string };
  const needs = ({ uuid, backups }: Resting['repositories'][number]): boolean => {
    if (kind === 'backup') return uuid === (planned ?? offered);
    const there = backups.get(vmId);
    return there !== undefined && (backup === undefined || there.has(backup));
  };
  return repositories.filter(needs).map(({ name }) => name);
}

async function restingFor(manager: EntityManager, rows: readonly RawRow[], asIf?: AsIf): Promise<Resting> {
  const hosts = [...(await restingHosts(manager)), ...(asIf !== undefined && 'host' in asIf ? [asIf.host] : [])];
  const repositories = [
    ...(await restingRepositories(manager)),
    ...(asIf !== undefined && 'repository' in asIf ? [asIf.repository] : []),
  ];
  const vmIds = rows.flatMap(({ kind, vmId }) => (kind === 'backup' ? [] : [Number(vmId)]));
  const withBackups = repositories.map(async ({ uuid, name }) => ({
    uuid,
    name,
    backups: await backupsIn(manager, uuid, vmIds),
  }));
  return { hosts, repositories: await Promise.all(withBackups) };
}

/** Uuids of the backups of these VMs that lie in a repository, by VM. */
async function backupsIn(manager: EntityManager, repositoryId: string, vmIds: number[]): Promise<Map<number, Set<string>>> {
  const byVm = new Map<number, Set<string>>();
  if (vmIds.length === 0) return byVm;
  const rows = await withPlace(manager.createQueryBuilder(BackupRow, 'backup'))
    .select(['backup.id', 'backup.uuid', 'backup.vmId'])
    .where(...liesIn(repositoryId))
    .andWhere('backup.removed IS NULL AND backup.vmId IN (:...vmIds)', { vmIds })
    .getMany();
  for (const { vmId, uuid } of rows) byVm.set(vmId, (byVm.get(vmId) ?? new Set<string>()).add(uuid));
  return byVm;
}
