import { Injectable } from '@nestjs/common';
import { In, IsNull, type EntityManager } from 'typeorm';
import type { DetailRow } from '../../domain/chain/chain-keys';
import { nowToTheSecond } from '../database-time';
import { BackupOfferingDetailRow } from '../entities/backup-offering-detail-row';
import { BackupOfferingRow } from '../entities/backup-offering-row';
import { VmRow } from '../entities/vm-row';
import type { Listed, Part } from '../page';
import { marks, rowsOf } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import { byOwner } from './by-owner';
import { findLive, namesOf, pageLive, type ReadOwn, refuseNeeded, refuseTaken } from './live-rows';
import { OWN_SCOPE } from './own-scope';

/** An offering to add; `externalId` is the uuid of its repository. */
export type NewOffering = Pick<BackupOfferingRow, 'uuid' | 'name' | 'description' | 'externalId'>;
/** What may change about one. With another repository the next backup of each of its VMs starts a new chain there. */
export type OfferingChange = Partial<Pick<BackupOfferingRow, 'name' | 'description' | 'externalId'>>;
/** An offering with its settings, `nas.backup.full.every` for one. */
export type OfferingWithDetails = BackupOfferingRow & { readonly details: BackupOfferingDetailRow[] };

/** The offerings: where backups go, and how. */
@Injectable()
export class Offerings {
  constructor(private readonly work: UnitOfWork) {}

  /** @throws UserError `offering.name-taken` */
  create(offering: NewOffering, details: readonly DetailRow[]): Promise<OfferingWithDetails> {
    return this.work.run(async (manager) => {
      await refuseTaken(manager, BackupOfferingRow, 'name', offering.name, 'offering.name-taken');
      await manager.insert(BackupOfferingRow, {
        ...offering,
        userDrivenBackup: true,
        zoneId: OWN_SCOPE.zoneId,
        provider: 'nas',
        created: () => nowToTheSecond(manager),
      });
      const row = await manager.findOneByOrFail(BackupOfferingRow, { uuid: offering.uuid });
      await setDetails(manager, row.id, details);
      return (await withDetails(manager)('own.id = ?', [row.id]))[0] as OfferingWithDetails;
    });
  }

  find(uuidOrName: string): Promise<OfferingWithDetails | null> {
    return this.work.read(async (manager) => {
      return findLive(withDetails(manager), uuidOrName, 'name');
    });
  }

  /** By id, removed ones too: old backups still point at them. */
  findById(id: number): Promise<OfferingWithDetails | null> {
    return this.work.read(async (manager) => {
      return (await withDetails(manager)('own.id = ?', [id]))[0] ?? null;
    });
  }

  /** Names by id. */
  names(ids: readonly number[]): Promise<Map<number, string>> {
    return this.work.read((manager) => namesOf(manager, BackupOfferingRow, ids));
  }

  page(part: Part): Promise<Listed<OfferingWithDetails>> {
    return this.work.read((manager) => pageLive(withDetails(manager), part));
  }

  /** A setting that is named replaces every row of that name. False: there is none. @throws UserError `offering.name-taken` */
  change(id: number, change: OfferingChange, details: readonly DetailRow[] = []): Promise<boolean> {
    return this.work.run(async (manager) => {
      if (!(await manager.existsBy(BackupOfferingRow, { id, removed: IsNull() }))) return false;
      if (change.name !== undefined)
        await refuseTaken(manager, BackupOfferingRow, 'name', change.name, 'offering.name-taken', id);
      if (Object.keys(change).length > 0) await manager.update(BackupOfferingRow, { id }, change);
      await setDetails(manager, id, details);
      return true;
    });
  }

  /** False: there is none. @throws UserError `offering.in-use` while a VM has it */
  remove(id: number): Promise<boolean> {
    return this.work.run(async (manager) => {
      refuseNeeded(await manager.countBy(VmRow, { backupOfferingId: id, removed: IsNull() }), 'offering.in-use', 'VMs');
      const change = { removed: () => nowToTheSecond(manager) };
      return (await manager.update(BackupOfferingRow, { id, removed: IsNull() }, change)).affected === 1;
    });
  }
}

async function setDetails(manager: EntityManager, backupOfferingId: number, details: readonly DetailRow[]): Promise<void> {
  if (details.length === 0) return;
  await manager.delete(BackupOfferingDetailRow, { backupOfferingId, name: In(details.map(({ name }) => name)) });
  await manager.insert(
    BackupOfferingDetailRow,
    details.map(({ name, value }) => ({ backupOfferingId, name, value, display: true })),
  );
}

/** The offerings, with their settings. */
const withDetails =
  (manager: EntityManager): ReadOwn<OfferingWithDetails> =>
  async (rest, parameters) => {
    const offerings = await rowsOf(manager, BackupOfferingRow, rest, parameters);
    const ids = offerings.map(({ id }) => id);
    const ofThese = `backup_offering_id IN (${marks(ids)}) ORDER BY id`;
    const details = ids.length === 0 ? [] : await rowsOf(manager, BackupOfferingDetailRow, ofThese, ids);
    const detailsOf = byOwner(details, ({ backupOfferingId }) => backupOfferingId);
    return offerings.map((offering) => Object.assign(offering, { details: detailsOf(offering.id) }));
  };
