import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { now } from '../database-time';
import { HostRow } from '../entities/host-row';
import { MaintenanceRow } from '../entities/maintenance-row';
import { joinedRows } from '../rows';
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
      // One of the host at least: whatever was said, CloudStack's state of it is asked for.
      const rows = await joinedRows(
        manager,
        { own: HostRow },
        { said: MaintenanceRow },
        `FROM host own LEFT JOIN ck_maintenances said
           ON (said.owner = 'host' AND said.owner_id = own.id) OR (said.owner = 'repository' AND said.owner_id = ?) WHERE own.id = ?`,
        [repository.id, host.id],
      );
      const row = rows[0]?.own;
      const of = (whose: MaintenanceRow['owner']): MaintenanceRow | null =>
        rows.find(({ said }) => said?.owner === whose)?.said ?? null;
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
