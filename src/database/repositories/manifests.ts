import { Injectable } from '@nestjs/common';
import { IsNull, Not, type EntityManager } from 'typeorm';
import { now } from '../database-time';
import { BackupRow } from '../entities/backup-row';
import { ManifestRow } from '../entities/manifest-row';
import { putRow, type Values } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import { liesIn, withPlace } from './lies-in';
import { restingRepositories } from './maintenances';

/** A backup that lacks something beside its files. */
export interface Undescribed {
  readonly id: number;
  readonly vmId: number;
}

/** A job that reads the files of a backup. */
export interface HashJob {
  readonly id: string;
  /** It compares. */
  readonly verifies: boolean;
}

/** Files of a backup by name, as somebody found them. */
export interface Spoilt {
  readonly damaged: readonly string[];
  readonly missing: readonly string[];
}

type Change = Values<ManifestRow>;

/** What lies beside the files of the backups. */
@Injectable()
export class Manifests {
  constructor(private readonly work: UnitOfWork) {}

  /** What is known of a backup; null: nobody has asked for anything yet. */
  find(backupId: number): Promise<ManifestRow | null> {
    return this.work.read((manager) => manager.findOneBy(ManifestRow, { backupId }));
  }

  /** Backups without a manifest, hidden ones among them, but for those in a repository in maintenance: those first that were never tried, then those not tried for the longest. */
  unwritten(limit: number): Promise<Undescribed[]> {
    return this.work.read((manager) => lacking(manager, 'written', 'tried', limit));
  }

  wrote(backupId: number): Promise<void> {
    return this.#set(backupId, (manager) => ({ tried: () => now(manager), written: () => now(manager), whyNot: null }));
  }

  couldNotWrite(backupId: number, whyNot: string): Promise<void> {
    return this.#set(backupId, (manager) => ({ tried: () => now(manager), whyNot }));
  }

  /** Backups whose files nobody has hashed, in the same order. */
  unhashed(limit: number): Promise<Undescribed[]> {
    return this.work.read((manager) => lacking(manager, 'hashed', 'hashTried', limit));
  }

  /** Backups whose files somebody began to read, and did not say how it ended. */
  hashing(): Promise<ManifestRow[]> {
    return this.work.read((manager) => manager.findBy(ManifestRow, { hashJob: Not(IsNull()) }));
  }

  /** How many backups in a repository have their files read just now. */
  countHashing(repositoryId: string): Promise<number> {
    return this.work.read((manager) =>
      withPlace(manager.createQueryBuilder(BackupRow, 'backup'))
        .innerJoin(ManifestRow, 'manifest', 'manifest.backupId = backup.id AND manifest.hashJob IS NOT NULL')
        .where(...liesIn(repositoryId))
        .getCount(),
    );
  }

  /** Writes down that a job is to read its files; one that does already stays, and is answered. */
  beginHash(backupId: number, job: { readonly id: string; readonly verifies: boolean }): Promise<HashJob> {
    return this.work.run(async (manager) => {
      await rowFor(manager, backupId);
      const begun = { hashJob: job.id, hashVerifies: job.verifies };
      await manager.update(ManifestRow, { backupId, hashJob: IsNull() }, begun);
      const { hashJob, hashVerifies } = await manager.findOneByOrFail(ManifestRow, { backupId });
      return { id: hashJob ?? job.id, verifies: hashVerifies ?? job.verifies };
    });
  }

  /** What that job found: the files that differ, where it compared, and those that are not there, where it looked. */
  hashed(backupId: number, job: HashJob, differs: readonly string[] | null, missing: readonly string[] | null): Promise<void> {
    return this.#endHash(backupId, job, (manager) => ({
      hashWhyNot: null,
      // Checksums that lay there already were taken at a time that nobody wrote down.
      hashed: () => `COALESCE(hashed, ${now(manager)})`,
      ...(differs === null ? {} : { verified: () => now(manager), damaged: anyOf(differs) }),
      ...(missing === null ? {} : { missing: anyOf(missing) }),
    }));
  }

  couldNotHash(backupId: number, job: HashJob, hashWhyNot: string): Promise<void> {
    return this.#endHash(backupId, job, () => ({ hashWhyNot }));
  }

  /** Files that somebody met on the way, who did not look at the others. Answers whether any of it is news. */
  spoilt(backupId: number, { damaged, missing }: Spoilt): Promise<boolean> {
    return this.work.run(async (manager) => {
      await rowFor(manager, backupId);
      const known = await manager.findOneByOrFail(ManifestRow, { backupId });
      const both = { damaged: union(known.damaged, damaged), missing: union(known.missing, missing) };
      const compared = damaged.length === 0 ? {} : { verified: () => now(manager) };
      await manager.update(ManifestRow, { backupId }, { ...both, ...compared });
      return both.damaged?.length !== known.damaged?.length || both.missing?.length !== known.missing?.length;
    });
  }

  /** Whoever follows the same job may have said it before. */
  #endHash(backupId: number, { id }: HashJob, change: (manager: EntityManager) => object): Promise<void> {
    return this.work.run(async (manager) => {
      const end = { hashJob: null, hashVerifies: null, hashTried: () => now(manager), ...change(manager) };
      await manager.update(ManifestRow, { backupId, hashJob: id }, end);
    });
  }

  #set(backupId: number, change: (manager: EntityManager) => Change): Promise<void> {
    return this.work.write((manager) => putRow(manager, ManifestRow, 'backupId', { backupId, ...change(manager) }));
  }
}

const anyOf = (names: readonly string[]): string[] | null => (names.length === 0 ? null : [...names]);
const union = (known: readonly string[] | null, more: readonly string[]): string[] | null =>
  anyOf([...new Set([...(known ?? []), ...more])]);

async function rowFor(manager: EntityManager, backupId: number): Promise<void> {
  if (!(await manager.existsBy(ManifestRow, { backupId }))) await manager.insert(ManifestRow, { backupId });
}

/** NULL comes first in both databases. */
async function lacking(
  manager: EntityManager,
  what: 'written' | 'hashed',
  tried: 'tried' | 'hashTried',
  limit: number,
): Promise<Undescribed[]> {
  const query = withPlace(manager.createQueryBuilder(BackupRow, 'backup'))
    .leftJoin(ManifestRow, 'manifest', 'manifest.backupId = backup.id')
    .select('backup.id', 'id')
    .addSelect('backup.vmId', 'vmId')
    .where("backup.removed IS NULL AND backup.status IN ('BackedUp', 'Hidden')")
    .andWhere(`manifest.${what} IS NULL`)
    .orderBy(`manifest.${tried}`, 'ASC')
    .addOrderBy('backup.id', 'ASC')
    .limit(limit);
  for (const [nth, { uuid }] of (await restingRepositories(manager)).entries()) {
    const [condition, parameters] = liesIn(uuid, nth);
    query.andWhere(`NOT (${condition})`, parameters);
  }
  const rows = await query.getRawMany<Record<keyof Undescribed, string | number>>();
  return rows.map(({ id, vmId }) => ({ id: Number(id), vmId: Number(vmId) }));
}
