import { Injectable } from '@nestjs/common';
import { IsNull } from 'typeorm';
import { nowToTheSecond } from '../database-time';
import { BackupOfferingRow } from '../entities/backup-offering-row';
import { BackupRepositoryRow } from '../entities/backup-repository-row';
import type { Listed, Part } from '../page';
import { UnitOfWork } from '../unit-of-work';
import { findLive, pageLive, refuseNeeded, refuseTaken } from './live-rows';
import { OWN_SCOPE } from './own-scope';

/** A NAS export to add. */
export type NewBackupRepository = Pick<BackupRepositoryRow, 'uuid' | 'name' | 'type' | 'address' | 'mountOpts'>;
/** What may change about one: type and address stay, because backups lie there. */
export type BackupRepositoryChange = Partial<Pick<BackupRepositoryRow, 'name' | 'mountOpts' | 'usedBytes' | 'capacityBytes'>>;

/** The NAS exports. */
@Injectable()
export class BackupRepositories {
  constructor(private readonly work: UnitOfWork) {}

  /** @throws UserError `repository.name-taken` */
  create(repository: NewBackupRepository): Promise<BackupRepositoryRow> {
    return this.work.run(async (manager) => {
      await refuseTaken(manager, BackupRepositoryRow, 'name', repository.name, 'repository.name-taken');
      await manager.insert(BackupRepositoryRow, {
        ...repository,
        zoneId: OWN_SCOPE.zoneId,
        provider: 'nas',
        created: () => nowToTheSecond(manager),
      });
      return manager.findOneByOrFail(BackupRepositoryRow, { uuid: repository.uuid });
    });
  }

  find(uuidOrName: string): Promise<BackupRepositoryRow | null> {
    return this.work.read((manager) => findLive(manager, BackupRepositoryRow, uuidOrName, 'name'));
  }

  page(part: Part): Promise<Listed<BackupRepositoryRow>> {
    return this.work.read((manager) => pageLive(manager, BackupRepositoryRow, part));
  }

  /** False: there is none. @throws UserError `repository.name-taken` */
  change(id: number, change: BackupRepositoryChange): Promise<boolean> {
    return this.work.run(async (manager) => {
      if (change.name !== undefined)
        await refuseTaken(manager, BackupRepositoryRow, 'name', change.name, 'repository.name-taken', id);
      return (await manager.update(BackupRepositoryRow, { id, removed: IsNull() }, change)).affected === 1;
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
