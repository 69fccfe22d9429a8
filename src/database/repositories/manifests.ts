import { Injectable } from '@nestjs/common';
import { In, type EntityManager } from 'typeorm';
import { now } from '../database-time';
import { BackupRow } from '../entities/backup-row';
import { ManifestRow } from '../entities/manifest-row';
import { UnitOfWork } from '../unit-of-work';

/** A backup that lacks something beside its files. */
export interface Undescribed {
  readonly id: number;
  readonly vmId: number;
}

type Change = Parameters<EntityManager['update']>[2];

/** What lies beside the files of the backups. */
@Injectable()
export class Manifests {
  constructor(private readonly work: UnitOfWork) {}

  /** What is known of these backups; nothing of those that nobody has asked for. */
  ofBackups(backupIds: readonly number[]): Promise<ManifestRow[]> {
    return this.work.read((manager) => manager.findBy(ManifestRow, { backupId: In([...backupIds]) }));
  }

  /** Backups without a manifest, hidden ones among them: those first that were never tried, then those not tried for the longest. */
  unwritten(limit: number): Promise<Undescribed[]> {
    return this.work.read((manager) => lacking(manager, 'written', 'tried', limit));
  }

  wrote(backupId: number): Promise<void> {
    return this.#set(backupId, (manager) => ({ tried: () => now(manager), written: () => now(manager), whyNot: null }));
  }

  couldNotWrite(backupId: number, whyNot: string): Promise<void> {
    return this.#set(backupId, (manager) => ({ tried: () => now(manager), whyNot }));
  }

  #set(backupId: number, change: (manager: EntityManager) => Change): Promise<void> {
    return this.work.run(async (manager) => {
      if (!(await manager.existsBy(ManifestRow, { backupId }))) await manager.insert(ManifestRow, { backupId });
      await manager.update(ManifestRow, { backupId }, change(manager));
    });
  }
}

/** NULL comes first in both databases. */
async function lacking(
  manager: EntityManager,
  what: 'written' | 'hashed',
  tried: 'tried' | 'hashTried',
  limit: number,
): Promise<Undescribed[]> {
  const rows = await manager
    .createQueryBuilder(BackupRow, 'backup')
    .leftJoin(ManifestRow, 'manifest', 'manifest.backupId = backup.id')
    .select('backup.id', 'id')
    .addSelect('backup.vmId', 'vmId')
    .where("backup.removed IS NULL AND backup.status IN ('BackedUp', 'Hidden')")
    .andWhere(`manifest.${what} IS NULL`)
    .orderBy(`manifest.${tried}`, 'ASC')
    .addOrderBy('backup.id', 'ASC')
    .limit(limit)
    .getRawMany<Record<keyof Undescribed, string | number>>();
  return rows.map(({ id, vmId }) => ({ id: Number(id), vmId: Number(vmId) }));
}
