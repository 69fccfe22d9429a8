import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { now } from '../database-time';
import { HostRow } from '../entities/host-row';
import { MaintenanceRow } from '../entities/maintenance-row';
import { UnitOfWork } from '../unit-of-work';
import type { RepositoryWithWay } from './backup-repositories';
import { addEvent } from './events';
import type { ReachableHost } from './hosts';

/** A host or repository, by row id. */
export type MaintenanceOwner = Pick<MaintenanceRow, 'owner' | 'ownerId'>;

/** A host or repository. */
export interface Named {
  readonly uuid: string;
  readonly name: string;
}

/** Where nothing is begun for now, because somebody said so. */
@Injectable()
export class Maintenances {
  constructor(private readonly work: UnitOfWork) {}

  /** A host and a repository that were read a while ago, with what is said of them now. */
  again(host: ReachableHost, repository: RepositoryWithWay): Promise<[ReachableHost, RepositoryWithWay]> {
    return this.work.read(async (manager) => {
      const row = await manager.findOne(HostRow, { where: { id: host.id }, select: { id: true, resourceState: true } });
      const said = await manager.findBy(MaintenanceRow, [
        { owner: 'host', ownerId: host.id },
        { owner: 'repository', ownerId: repository.id },
      ]);
      const of = (whose: MaintenanceRow['owner']): MaintenanceRow | null => said.find(({ owner }) => owner === whose) ?? null;
      return [
        { ...host, resourceState: row?.resourceState ?? host.resourceState, maintenance: of('host') },
        { ...repository, maintenance: of('repository') },
      ];
    });
  }

  /** Says it, and tells of it. Said again, only what was said changes. `name`: of the host or repository. */
  begin(
    of: MaintenanceOwner & { readonly name: string },
    said: Pick<MaintenanceRow, 'begunBy' | 'why' | 'running'>,
  ): Promise<void> {
    const { owner, ownerId, name } = of;
    return this.work.run(async (manager) => {
      if ((await manager.update(MaintenanceRow, { owner, ownerId }, said)).affected === 1) return;
      await manager.insert(MaintenanceRow, { ...said, owner, ownerId, since: () => now(manager) });
      await tell(
        manager,
        of,
        'maintenance-begun',
        `The maintenance of ${owner} ${name} begins, says ${said.begunBy}: ${said.why}`,
      );
    });
  }

  /** Takes it back, and tells of it; nothing said already is nothing said. */
  end(of: MaintenanceOwner & { readonly name: string }): Promise<void> {
    const { owner, ownerId, name } = of;
    return this.work.run(async (manager) => {
      if ((await manager.delete(MaintenanceRow, { owner, ownerId })).affected === 0) return;
      await tell(manager, of, 'maintenance-ended', `The maintenance of ${owner} ${name} is over.`);
    });
  }
}

/** The join of a query for hosts or repositories, whose alias is `row`, with what was said of them. */
export const maintenanceOf = (
  owner: MaintenanceRow['owner'],
): [mapTo: string, entity: typeof MaintenanceRow, alias: string, condition: string] => [
  'row.maintenance',
  MaintenanceRow,
  'maintenance',
  `maintenance.owner = '${owner}' AND maintenance.ownerId = row.id`,
];

/** The hosts in maintenance: CloudStack's state says so, or somebody did here. */
export const restingHosts = (manager: EntityManager): Promise<Named[]> =>
  manager.query<Named[]>(
    `SELECT host.uuid, host.name FROM host
       LEFT JOIN ck_maintenances maintenance ON maintenance.owner = 'host' AND maintenance.owner_id = host.id
     WHERE host.removed IS NULL AND (host.resource_state = 'Maintenance' OR maintenance.owner_id IS NOT NULL)`,
  );

/** The repositories in maintenance. */
export const restingRepositories = (manager: EntityManager): Promise<Named[]> =>
  manager.query<Named[]>(
    `SELECT repository.uuid, repository.name FROM ck_maintenances maintenance
       INNER JOIN backup_repository repository ON repository.id = maintenance.owner_id
     WHERE maintenance.owner = 'repository' AND repository.removed IS NULL`,
  );

const tell = (
  manager: EntityManager,
  { owner, ownerId, name }: MaintenanceOwner & { readonly name: string },
  kind: string,
  message: string,
): Promise<void> =>
  addEvent(manager, {
    kind,
    message,
    hostId: owner === 'host' ? ownerId : null,
    reason: `${owner}-maintenance`,
    facts: { [owner]: name },
  });
