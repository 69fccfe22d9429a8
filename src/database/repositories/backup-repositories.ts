import { Injectable } from '@nestjs/common';
import { In, IsNull, type EntityManager } from 'typeorm';
import type { TransferWish } from '../../domain/agent/facts';
import { nowToTheSecond } from '../database-time';
import { BackupOfferingRow } from '../entities/backup-offering-row';
import { BackupRow } from '../entities/backup-row';
import { BackupRepositoryRow } from '../entities/backup-repository-row';
import { RepositoryWayRow } from '../entities/repository-way-row';
import type { Listed, Part } from '../page';
import { UnitOfWork } from '../unit-of-work';
import { byOwner } from './by-owner';
import { findLive, pageLive, refuseNeeded, refuseTaken } from './live-rows';
import { OWN_SCOPE } from './own-scope';

/** A NAS export to add. */
export type NewBackupRepository = Pick<BackupRepositoryRow, 'uuid' | 'name' | 'type' | 'address' | 'mountOpts'>;
/** What may change about one: type and address stay, because backups lie there. */
export type BackupRepositoryChange = Partial<Pick<BackupRepositoryRow, 'name' | 'mountOpts' | 'usedBytes' | 'capacityBytes'>>;

/** A NAS export and how the data of a live VM travels to it; null: nobody said. */
export type RepositoryWithWay = BackupRepositoryRow & { readonly transfer: TransferWish | null };

/** What a repository grew by. */
export interface RepositoryGrowth {
  /** Bytes of the backups that were taken, less those of the backups that were removed. */
  readonly grownBytes: number;
  /** When the oldest backup that ever lay in it was taken; null: there was none. */
  readonly first: Date | null;
}

/** The NAS exports. */
@Injectable()
export class BackupRepositories {
  constructor(private readonly work: UnitOfWork) {}

  /** @throws UserError `repository.name-taken` */
  create(repository: NewBackupRepository, transfer: TransferWish | null = null): Promise<RepositoryWithWay> {
    return this.work.run(async (manager) => {
      await refuseTaken(manager, BackupRepositoryRow, 'name', repository.name, 'repository.name-taken');
      await manager.insert(BackupRepositoryRow, {
        ...repository,
        zoneId: OWN_SCOPE.zoneId,
        provider: 'nas',
        created: () => nowToTheSecond(manager),
      });
      const row = await manager.findOneByOrFail(BackupRepositoryRow, { uuid: repository.uuid });
      await setWay(manager, row.id, transfer);
      return (await attach(manager, [row]))[0] as RepositoryWithWay;
    });
  }

  find(uuidOrName: string): Promise<RepositoryWithWay | null> {
    return this.work.read(async (manager) => {
      const row = await findLive(manager, BackupRepositoryRow, uuidOrName, 'name');
      return row && ((await attach(manager, [row]))[0] as RepositoryWithWay);
    });
  }

  page(part: Part): Promise<Listed<RepositoryWithWay>> {
    return this.work.read(async (manager) => {
      const { items, next } = await pageLive(manager, BackupRepositoryRow, part);
      return { items: await attach(manager, items), next };
    });
  }

  /** What these repositories grew by since then, by their uuids; one without backups is not among them. */
  growth(uuids: readonly string[], since: Date): Promise<Map<string, RepositoryGrowth>> {
    return this.work.read(async (manager) => {
      const grown = (condition: string): string => `SUM(CASE WHEN ${condition} THEN COALESCE(backup.size, 0) ELSE 0 END)`;
      const rows = await manager
        .createQueryBuilder(BackupRow, 'backup')
        .innerJoin(BackupOfferingRow, 'offering', 'offering.id = backup.backupOfferingId')
        .select('offering.externalId', 'uuid')
        .addSelect(grown('backup.date >= :since'), 'written')
        .addSelect(grown('backup.removed >= :since'), 'removed')
        .addSelect('MIN(backup.date)', 'first')
        .where('offering.externalId IN (:...uuids)', { uuids: ['', ...uuids] })
        .setParameter('since', since)
        .groupBy('offering.externalId')
        .getRawMany<{ uuid: string; written: string | number; removed: string | number; first: string | Date | null }>();
      return new Map(
        rows.map(({ uuid, written, removed, first }) => [
          uuid,
          { grownBytes: Number(written) - Number(removed), first: momentOf(first) },
        ]),
      );
    });
  }

  /** A way of null is forgotten. False: there is none. @throws UserError `repository.name-taken` */
  change(id: number, change: BackupRepositoryChange, transfer?: TransferWish | null): Promise<boolean> {
    return this.work.run(async (manager) => {
      if (!(await manager.existsBy(BackupRepositoryRow, { id, removed: IsNull() }))) return false;
      if (change.name !== undefined)
        await refuseTaken(manager, BackupRepositoryRow, 'name', change.name, 'repository.name-taken', id);
      if (Object.keys(change).length > 0) await manager.update(BackupRepositoryRow, { id }, change);
      if (transfer !== undefined) await setWay(manager, id, transfer);
      return true;
    });
  }

  /** False: there is none. @throws UserError `repository.in-use` while an offering points at it */
  remove(id: number): Promise<boolean> {
    return this.work.run(async (manager) => {
      const repository = await manager.findOneBy(BackupRepositoryRow, { id, removed: IsNull() });
      if (repository === null) return false;
      const offerings = await manager.countBy(BackupOfferingRow, { externalId: repository.uuid, removed: IsNull() });
      refuseNeeded(offerings, 'repository.in-use', 'offerings');
      await manager.update(BackupRepositoryRow, { id }, { removed: () => nowToTheSecond(manager) });
      return true;
    });
  }
}

/** A moment as a driver gives it where no column says what it is: SQLite as text, in UTC and without saying so. */
const momentOf = (raw: string | Date | null): Date | null =>
  typeof raw === 'string' ? new Date(`${raw.replace(' ', 'T')}Z`) : raw;

async function setWay(manager: EntityManager, repositoryId: number, transfer: TransferWish | null): Promise<void> {
  await manager.delete(RepositoryWayRow, { repositoryId });
  if (transfer !== null) await manager.insert(RepositoryWayRow, { repositoryId, transfer });
}

async function attach(manager: EntityManager, repositories: BackupRepositoryRow[]): Promise<RepositoryWithWay[]> {
  const ways = await manager.findBy(RepositoryWayRow, { repositoryId: In(repositories.map(({ id }) => id)) });
  const waysOf = byOwner(ways, ({ repositoryId }) => repositoryId);
  return repositories.map((repository) => Object.assign(repository, { transfer: waysOf(repository.id)[0]?.transfer ?? null }));
}
