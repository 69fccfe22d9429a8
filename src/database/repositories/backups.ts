import { Injectable } from '@nestjs/common';
import { In, IsNull, type EntityManager } from 'typeorm';
import { CHAIN_KEYS, type DetailRow } from '../../domain/chain/chain-keys';
import { now, nowToTheSecond } from '../database-time';
import { BackupDetailRow } from '../entities/backup-detail-row';
import { BackupRow } from '../entities/backup-row';
import { LinkRow } from '../entities/link-row';
import { ManifestRow } from '../entities/manifest-row';
import { ProtectionRow } from '../entities/protection-row';
import { cut, type Listed, type Part } from '../page';
import { addRow, addRows, joinedRows, marks, rowsOf, type Where } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import { byOwner } from './by-owner';

/** A backup to be written into the books. One without a date is of now, by the database's clock: those of orchestrators may differ. */
export type NewBackup = Omit<BackupRow, 'id' | 'removed' | 'date'> & Partial<Pick<BackupRow, 'date'>>;
/** What may change about a backup later. */
export type BackupChange = Partial<Omit<BackupRow, 'id' | 'uuid' | 'vmId' | 'removed'>>;
/** What we keep of a backup beside CloudStack's rows; undefined: nothing. */
interface KeptOfBackup {
  /** Why it was full or incremental, and what it is worth. */
  readonly link: LinkRow | undefined;
  /** What lies beside its files; undefined when nobody has asked for anything yet. */
  readonly manifest: ManifestRow | undefined;
  /** What holds now, by the database's clock. */
  readonly protection: ProtectionRow | undefined;
}

/** A backup with its details as they are, duplicates and unknown keys included, and what we keep of it. */
export type BookedBackup = BackupRow & KeptOfBackup & { readonly details: BackupDetailRow[] };

/** A chain by its keys alone. */
export interface ChainKey {
  readonly id: string;
  readonly vmId: number;
  /** Row id of its first link. */
  readonly first: number;
}

/** The restore points. A backup and its details always go in or out together. */
@Injectable()
export class Backups {
  constructor(private readonly work: UnitOfWork) {}

  insert(backup: NewBackup, details: readonly DetailRow[]): Promise<Pick<BackupRow, 'id' | 'uuid'>> {
    return this.work.run(async (manager) => {
      const date = (): string => nowToTheSecond(manager);
      const id = await addRow(manager, BackupRow, { date, ...backup, removed: null });
      await addDetails(manager, id, details);
      return { id, uuid: backup.uuid };
    });
  }

  /** A detail that is named replaces every row of that name; the others stay. False: there is no such backup. */
  change(id: number, change: BackupChange, details: readonly DetailRow[] = []): Promise<boolean> {
    return this.work.run(async (manager) => {
      if (!(await manager.existsBy(BackupRow, { id }))) return false;
      if (Object.keys(change).length > 0) await manager.update(BackupRow, { id }, change);
      if (details.length > 0) {
        await manager.delete(BackupDetailRow, { backupId: id, name: In(details.map(({ name }) => name)) });
        await addDetails(manager, id, details);
      }
      return true;
    });
  }

  /** Marks as removed; the rows stay. False: it was removed before, or never there. */
  remove(id: number): Promise<boolean> {
    return this.work.run(async (manager) => {
      const { affected } = await manager.update(BackupRow, { id, removed: IsNull() }, { removed: () => nowToTheSecond(manager) });
      return affected === 1;
    });
  }

  findByUuid(uuid: string): Promise<BookedBackup | null> {
    return this.work.read(async (manager) => (await withDetails(manager, ['backup.uuid = ?', uuid]))[0] ?? null);
  }

  findById(id: number): Promise<BookedBackup | null> {
    return this.work.read(async (manager) => (await withDetails(manager, ['backup.id = ?', id]))[0] ?? null);
  }

  /** Newest first: by date, and where that is the same second by id. Removed ones only on request: a chain reader may want them. */
  listByVm(vmId: number, { removed = false }: { readonly removed?: boolean } = {}): Promise<BookedBackup[]> {
    return this.work.read((manager) =>
      withDetails(manager, [`backup.vm_id = ?${removed ? '' : ' AND backup.removed IS NULL'}`, vmId]),
    );
  }

  /** The VM that a chain belongs to, by its `nas.chain_id`; null: no such chain. Goes by our index on (name, value). */
  vmOfChain(chainId: string): Promise<number | null> {
    return this.work.read(async (manager) => {
      const detail = await manager.findOneBy(BackupDetailRow, { name: CHAIN_KEYS.chainId, value: chainId });
      return detail && ((await manager.findOneBy(BackupRow, { id: detail.backupId }))?.vmId ?? null);
    });
  }

  /** The chains in the order of their first links, newest first. */
  chains(part: Part, { vmId }: { readonly vmId?: number | undefined } = {}): Promise<Listed<ChainKey>> {
    return this.work.read(async (manager) => {
      const query = manager
        .createQueryBuilder(BackupDetailRow, 'detail')
        .innerJoin(BackupRow, 'backup', 'backup.id = detail.backupId AND backup.removed IS NULL')
        .select('detail.value', 'id')
        .addSelect('backup.vmId', 'vmId')
        .addSelect('MIN(backup.id)', 'first')
        .where('detail.name = :name', { name: CHAIN_KEYS.chainId })
        .groupBy('detail.value')
        .addGroupBy('backup.vmId')
        .orderBy('MIN(backup.id)', 'DESC')
        .limit(part.limit + 1);
      if (vmId !== undefined) query.andWhere('backup.vmId = :vmId', { vmId });
      if (part.after !== undefined) query.having('MIN(backup.id) < :after', { after: part.after });
      const rows = await query.getRawMany<Record<keyof ChainKey, string | number>>();
      const keys = rows.map((row) => ({ id: String(row.id), vmId: Number(row.vmId), first: Number(row.first) }));
      return cut(keys, part.limit, ({ first }) => first);
    });
  }

  /** In the order they were written down, newest first. */
  page(part: Part, { vmId }: { readonly vmId?: number | undefined } = {}): Promise<Listed<BookedBackup>> {
    const of = [
      ['backup.removed IS NULL', []],
      ['backup.vm_id = ?', vmId === undefined ? null : [vmId]],
      ['backup.id < ?', part.after === undefined ? null : [part.after]],
    ] as const;
    const asked = of.filter(([, parameters]) => parameters !== null);
    const where = asked.map(([condition]) => condition).join(' AND ');
    const parameters = asked.flatMap(([, values]) => values ?? []);
    return this.work.read(async (manager) => {
      const rows = await withKept(manager, `${where} ORDER BY backup.id DESC LIMIT ${part.limit + 1}`, parameters);
      const { items, next } = cut(rows, part.limit, ({ id }) => id);
      return { items: await attach(manager, items), next };
    });
  }
}

async function addDetails(manager: EntityManager, backupId: number, details: readonly DetailRow[]): Promise<void> {
  await addRows(
    manager,
    BackupDetailRow,
    details.map(({ name, value }) => ({ backupId, name, value, display: true })),
  );
}

async function withKept(
  manager: EntityManager,
  rest: string,
  parameters: readonly unknown[],
): Promise<(BackupRow & KeptOfBackup)[]> {
  const rows = await joinedRows(
    manager,
    { backup: BackupRow },
    { link: LinkRow, manifest: ManifestRow, protection: ProtectionRow },
    `FROM backups backup LEFT JOIN ck_links link ON link.backup_id = backup.id
       LEFT JOIN ck_manifests manifest ON manifest.backup_id = backup.id
       LEFT JOIN ck_protections protection ON protection.backup_id = backup.id
         AND (protection.until IS NULL OR protection.until > ${now(manager)})
     WHERE ${rest}`,
    parameters,
  );
  return rows.map(({ backup, link, manifest, protection }) => ({
    ...backup,
    link: link ?? undefined,
    manifest: manifest ?? undefined,
    protection: protection ?? undefined,
  }));
}

async function withDetails(manager: EntityManager, [condition, ...parameters]: Where): Promise<BookedBackup[]> {
  return attach(manager, await withKept(manager, `${condition} ORDER BY backup.date DESC, backup.id DESC`, parameters));
}

async function attach(manager: EntityManager, backups: readonly (BackupRow & KeptOfBackup)[]): Promise<BookedBackup[]> {
  if (backups.length === 0) return [];
  const ids = backups.map(({ id }) => id);
  const details = await rowsOf(manager, BackupDetailRow, `backup_id IN (${marks(ids)}) ORDER BY id`, ids);
  const detailsOf = byOwner(details, ({ backupId }) => backupId);
  return backups.map((backup) => ({ ...backup, details: detailsOf(backup.id) }));
}
