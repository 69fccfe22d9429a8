import { Injectable } from '@nestjs/common';
import { IsNull, type EntityManager, type SelectQueryBuilder } from 'typeorm';
import type { TransferWish } from '../../domain/agent/facts';
import { nowToTheSecond } from '../database-time';
import { BackupOfferingRow } from '../entities/backup-offering-row';
import { BackupRow } from '../entities/backup-row';
import { BackupRepositoryRow } from '../entities/backup-repository-row';
import { MaintenanceRow } from '../entities/maintenance-row';
import { RepositoryWayRow } from '../entities/repository-way-row';
import type { Listed, Part } from '../page';
import { joinedRows } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import { liesIn, withPlace } from './lies-in';
import { findLive, pageLive, type ReadOwn, refuseNeeded, refuseTaken } from './live-rows';
import { OWN_SCOPE } from './own-scope';

/** A NAS export to add. */
export type NewBackupRepository = Pick<BackupRepositoryRow, 'uuid' | 'name' | 'type' | 'address' | 'mountOpts'>;
/** What may change about one: type and address stay, because backups lie there. */
export type BackupRepositoryChange = Partial<Pick<BackupRepositoryRow, 'name' | 'mountOpts' | 'usedBytes' | 'capacityBytes'>>;

/** The way that backups take to a NAS export: how the data of a live VM travels, and how many MiB a second at most; null: nobody said. */
export interface RepositoryWay {
  readonly transfer: TransferWish | null;
  readonly bandwidth: number | null;
}

/** A NAS export, the way that backups take to it, and its maintenance. */
export type RepositoryWithWay = BackupRepositoryRow &
  RepositoryWay & {
    readonly maintenance: MaintenanceRow | null;
  };

/** The NAS exports. */
@Injectable()
export class BackupRepositories {
  constructor(private readonly work: UnitOfWork) {}

  /** @throws UserError `repository.name-taken` */
  create(repository: NewBackupRepository, way: Partial<RepositoryWay> = {}): Promise<RepositoryWithWay> {
    return this.work.run(async (manager) => {
      await refuseTaken(manager, BackupRepositoryRow, 'name', repository.name, 'repository.name-taken');
      await manager.insert(BackupRepositoryRow, {
        ...repository,
        zoneId: OWN_SCOPE.zoneId,
        provider: 'nas',
        created: () => nowToTheSecond(manager),
      });
      const { id } = await manager.findOneByOrFail(BackupRepositoryRow, { uuid: repository.uuid });
      await setWay(manager, id, way);
      return (await withWay(manager)('own.id = ?', [id]))[0] as RepositoryWithWay;
    });
  }

  find(uuidOrName: string): Promise<RepositoryWithWay | null> {
    return this.work.read((manager) => findLive(withWay(manager), uuidOrName, 'name'));
  }

  page(part: Part): Promise<Listed<RepositoryWithWay>> {
    return this.work.read((manager) => pageLive(withWay(manager), part));
  }

  /** Bytes that a repository grew by since then: of the backups that were taken, less those of the backups that were removed. */
  growth(uuid: string, since: Date): Promise<number> {
    return this.work.read(async (manager) => {
      const bytes = (condition: string): string => `SUM(CASE WHEN ${condition} THEN backup.size ELSE 0 END)`;
      const sums = await backupsIn(manager, uuid)
        .select(bytes('backup.date >= :since'), 'written')
        .addSelect(bytes('backup.removed >= :since'), 'removed')
        .andWhere('(backup.date >= :since OR backup.removed >= :since)', { since })
        .getRawOne<Record<'written' | 'removed', string | number | null>>();
      return Number(sums?.written ?? 0) - Number(sums?.removed ?? 0);
    });
  }

  /** What of the way is null is forgotten. False: there is none. @throws UserError `repository.name-taken` */
  change(id: number, change: BackupRepositoryChange, way: Partial<RepositoryWay> = {}): Promise<boolean> {
    return this.work.run(async (manager) => {
      if (!(await manager.existsBy(BackupRepositoryRow, { id, removed: IsNull() }))) return false;
      if (change.name !== undefined)
        await refuseTaken(manager, BackupRepositoryRow, 'name', change.name, 'repository.name-taken', id);
      if (Object.keys(change).length > 0) await manager.update(BackupRepositoryRow, { id }, change);
      await setWay(manager, id, way);
      return true;
    });
  }

  /** False: there is none. @throws UserError `repository.in-use` while an offering points at it, or backups lie there */
  remove(id: number): Promise<boolean> {
    return this.work.run(async (manager) => {
      const repository = await manager.findOneBy(BackupRepositoryRow, { id, removed: IsNull() });
      if (repository === null) return false;
      const offerings = await manager.countBy(BackupOfferingRow, { externalId: repository.uuid, removed: IsNull() });
      refuseNeeded(offerings, 'repository.in-use', 'offerings');
      refuseNeeded(await countBackupsIn(manager, repository.uuid), 'repository.in-use', 'backups');
      await manager.update(BackupRepositoryRow, { id }, { removed: () => nowToTheSecond(manager) });
      return true;
    });
  }
}

function backupsIn(manager: EntityManager, repositoryId: string): SelectQueryBuilder<BackupRow> {
  return withPlace(manager.createQueryBuilder(BackupRow, 'backup')).where(...liesIn(repositoryId));
}

function countBackupsIn(manager: EntityManager, repositoryId: string): Promise<number> {
  return backupsIn(manager, repositoryId)
    .andWhere("backup.removed IS NULL AND backup.status IN ('BackingUp', 'BackedUp', 'Hidden')")
    .getCount();
}

async function setWay(manager: EntityManager, repositoryId: number, said: Partial<RepositoryWay>): Promise<void> {
  if (said.transfer === undefined && said.bandwidth === undefined) return;
  const before = await manager.findOneBy(RepositoryWayRow, { repositoryId });
  const { transfer = before?.transfer ?? null, bandwidth = before?.bandwidth ?? null } = said;
  await manager.delete(RepositoryWayRow, { repositoryId });
  if (transfer !== null || bandwidth !== null) await manager.insert(RepositoryWayRow, { repositoryId, transfer, bandwidth });
}

/** The repositories, with their way and their maintenance. */
const withWay =
  (manager: EntityManager): ReadOwn<RepositoryWithWay> =>
  async (rest, parameters) => {
    const rows = await joinedRows(
      manager,
      { own: BackupRepositoryRow },
      { way: RepositoryWayRow, maintenance: MaintenanceRow },
      `FROM backup_repository own LEFT JOIN ck_repositories way ON way.repository_id = own.id
         LEFT JOIN ck_maintenances maintenance ON maintenance.owner = 'repository' AND maintenance.owner_id = own.id WHERE ${rest}`,
      parameters,
    );
    return rows.map(({ own, way, maintenance }) =>
      Object.assign(own, { transfer: way?.transfer ?? null, bandwidth: way?.bandwidth ?? null, maintenance }),
    );
  };
