import type { EntityManager } from 'typeorm';
import { BackupRow } from '../entities/backup-row';
import { liesIn, withPlace } from './lies-in';
import { type Named, restingHosts, restingRepositories } from './maintenances';
import type { PlacedRow, RawRow } from './placed-row';

type Run = Omit<PlacedRow, 'resting'>;

/** A host or a repository that is taken for one in maintenance. */
export type AsIf = { readonly host: Named } | { readonly repository: Named };

/** All that is in maintenance, as far as runs need it. */
export interface Resting {
  readonly hosts: readonly Named[];
  readonly repositories: readonly (Named & {
    /** What lies there of the VMs of runs that take no backup: uuids of backups by VM. */
    readonly backups: ReadonlyMap<number, ReadonlySet<string>>;
  })[];
}

/** A run, by what it needs of what is in maintenance. */
export function atRest(run: PlacedRow, { hostId, repositoryId }: RawRow, resting: Resting): PlacedRow {
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

/** All that is in maintenance now, for these runs. */
export async function restingFor(manager: EntityManager, rows: readonly RawRow[], asIf?: AsIf): Promise<Resting> {
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
