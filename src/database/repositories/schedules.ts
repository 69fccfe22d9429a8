import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan, Not, type EntityManager, type FindOptionsWhere } from 'typeorm';
import { now } from '../database-time';
import { BackupScheduleRow } from '../entities/backup-schedule-row';
import { DueRow } from '../entities/due-row';
import { ScheduleRow } from '../entities/schedule-row';
import { cut, type Listed, type Part } from '../page';
import { rowsOf } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import { OWN_SCOPE } from './own-scope';

/** What CloudStack's own columns say of a schedule in its notation. */
export type CloudstackPart = Pick<BackupScheduleRow, 'scheduleType' | 'schedule' | 'timezone' | 'maxBackups' | 'quiescevm'>;
/** What ours say. */
export type OwnPart = Omit<
  ScheduleRow,
  'seq' | 'id' | 'backupScheduleId' | 'vmId' | 'offeringId' | 'readAs' | 'created' | 'changed'
>;
/** Of what nobody said anything. */
export const SCHEDULE_DEFAULTS = { jitterSeconds: 0, missed: 'run-once', graceSeconds: 3600 } as const;
/** A schedule, with its row of `backup_schedule` where it has one. */
export type Schedule = ScheduleRow & { readonly cloudstack: BackupScheduleRow | null };
/** A schedule to add: of a VM or of an offering. */
export type NewSchedule = Pick<ScheduleRow, 'id' | 'vmId' | 'offeringId'> & {
  readonly own: Partial<OwnPart>;
  readonly cloudstack: CloudstackPart | null;
};

/** Which schedules. */
export interface SchedulesOf {
  readonly vmId?: number;
  readonly offeringId?: number;
}

/** When VMs are backed up. */
@Injectable()
export class Schedules {
  constructor(private readonly work: UnitOfWork) {}

  /** Those of a VM in CloudStack's notation: its backups are counted by them. */
  ofVm(vmId: number): Promise<BackupScheduleRow[]> {
    return this.work.read((manager) => rowsOf(manager, BackupScheduleRow, 'vm_id = ? ORDER BY id', [vmId]));
  }

  create({ id, vmId, offeringId, own, cloudstack }: NewSchedule): Promise<Schedule> {
    return this.work.run(async (manager) => {
      const backupScheduleId = cloudstack === null || vmId === null ? null : await insertRow(manager, id, vmId, cloudstack);
      const moment = (): string => now(manager);
      await manager.insert(ScheduleRow, {
        ...SCHEDULE_DEFAULTS,
        ...own,
        id,
        vmId,
        offeringId,
        backupScheduleId,
        created: moment,
        changed: moment,
      });
      return (await attach(manager, [await manager.findOneByOrFail(ScheduleRow, { id })]))[0] as Schedule;
    });
  }

  find(id: string): Promise<Schedule | null> {
    return this.work.read(async (manager) => (await attach(manager, await manager.findBy(ScheduleRow, { id })))[0] ?? null);
  }

  bySeqs(seqs: readonly number[]): Promise<Schedule[]> {
    return this.work.read(async (manager) => attach(manager, await manager.findBy(ScheduleRow, { seq: In([...seqs]) })));
  }

  byIds(ids: readonly string[]): Promise<Schedule[]> {
    return this.work.read(async (manager) => attach(manager, await manager.findBy(ScheduleRow, { id: In([...ids]) })));
  }

  /** Those that hold for a VM with this offering: its own and the offering's. */
  holding(vmId: number, offeringId: number | null): Promise<Schedule[]> {
    return this.work.read(async (manager) => {
      const where = [{ vmId }, ...(offeringId === null ? [] : [{ offeringId }])];
      return attach(manager, await manager.find(ScheduleRow, { where, order: { seq: 'ASC' } }));
    });
  }

  /** Newest first. */
  page(part: Part, { vmId, offeringId }: SchedulesOf = {}): Promise<Listed<Schedule>> {
    const where: FindOptionsWhere<ScheduleRow> = {
      ...(vmId === undefined ? {} : { vmId }),
      ...(offeringId === undefined ? {} : { offeringId }),
      ...(part.after === undefined ? {} : { seq: LessThan(part.after) }),
    };
    return this.work.read(async (manager) => {
      const rows = await manager.find(ScheduleRow, { where, order: { seq: 'DESC' }, take: part.limit + 1 });
      const { items, next } = cut(rows, part.limit, ({ seq }) => seq);
      return { items: await attach(manager, items), next };
    });
  }

  /** False: there is none. */
  change(id: string, own: Partial<OwnPart>, cloudstack: Partial<CloudstackPart> = {}): Promise<boolean> {
    return this.work.run(async (manager) => {
      const row = await manager.findOneBy(ScheduleRow, { id });
      if (row === null) return false;
      await manager.update(ScheduleRow, { id }, { ...own, changed: () => now(manager) });
      if (row.backupScheduleId !== null && Object.keys(cloudstack).length > 0)
        await manager.update(BackupScheduleRow, { id: row.backupScheduleId }, cloudstack);
      return true;
    });
  }

  /** With what was to come of it. The runs that it made stay. False: there is none. */
  remove(id: string): Promise<boolean> {
    return this.work.run(async (manager) => {
      const row = await manager.findOneBy(ScheduleRow, { id });
      if (row === null) return false;
      await manager.delete(DueRow, { scheduleSeq: row.seq });
      await manager.delete(ScheduleRow, { id });
      if (row.backupScheduleId !== null) await manager.delete(BackupScheduleRow, { id: row.backupScheduleId });
      return true;
    });
  }

  /**
   * Rows of `backup_schedule` that somebody else has put there and that we know nothing of yet get one of ours; their number. One that cannot
   * have one stops no other.
   */
  async adoptRows(failed: (error: unknown) => void = () => undefined): Promise<number> {
    const rows = await this.work.read((manager) => {
      const known = manager
        .createQueryBuilder(ScheduleRow, 'own')
        .select('own.backupScheduleId')
        .where({ backupScheduleId: Not(IsNull()) });
      return manager.createQueryBuilder(BackupScheduleRow, 'row').where(`row.id NOT IN (${known.getQuery()})`).getMany();
    });
    let count = 0;
    for (const row of rows)
      await this.#adopt(row).then(
        () => (count += 1),
        async (error: unknown) => {
          // Another orchestrator may have been quicker.
          if (!(await this.#isKnown(row))) failed(error);
        },
      );
    return count;
  }

  #adopt({ id, uuid, vmId }: BackupScheduleRow): Promise<void> {
    return this.work.run(async (manager) => {
      const moment = (): string => now(manager);
      const ours = { id: uuid, vmId, backupScheduleId: id, created: moment, changed: moment };
      await manager.insert(ScheduleRow, { ...SCHEDULE_DEFAULTS, ...ours });
    });
  }

  #isKnown({ id }: BackupScheduleRow): Promise<boolean> {
    return this.work.read((manager) => manager.existsBy(ScheduleRow, { backupScheduleId: id }));
  }

  /** Those whose row of `backup_schedule` is gone, or says something else than when it was read. However many there are, nobody is held up for long. */
  async changedRows(): Promise<number[]> {
    const found: number[] = [];
    const last = await this.work.read((manager) => manager.maximum(ScheduleRow, 'seq'));
    for (let after = 0; after < (last ?? 0); after += SCANNED)
      found.push(...(await this.work.read((manager) => changedAfter(manager, after))));
    return found;
  }

  /** What its row said is what it is gone by from now on, whether it can be read or not. */
  noteRead({ seq, cloudstack }: Schedule): Promise<void> {
    return this.work.run(async (manager) => {
      if (cloudstack === null) return;
      const { scheduleType, schedule, timezone } = cloudstack;
      await manager.update(ScheduleRow, { seq }, { readAs: `${scheduleType ?? -1} ${schedule ?? ''} ${timezone ?? ''}` });
    });
  }
}

/** Rows of one statement. */
const SCANNED = 100_000;

async function changedAfter(manager: EntityManager, after: number): Promise<number[]> {
  const says = `CONCAT_WS(' ', COALESCE(theirs.schedule_type, -1), COALESCE(theirs.schedule, ''), COALESCE(theirs.timezone, ''))`;
  const rows = await manager.query<{ seq: number | string }[]>(
    `SELECT own.seq FROM ck_schedules own LEFT JOIN backup_schedule theirs ON theirs.id = own.backup_schedule_id
     WHERE own.seq > ? AND own.seq <= ? AND own.backup_schedule_id IS NOT NULL
       AND (theirs.id IS NULL OR own.read_as IS NULL OR own.read_as <> ${says})`,
    [after, after + SCANNED],
  );
  return rows.map(({ seq }) => Number(seq));
}

async function insertRow(manager: EntityManager, uuid: string, vmId: number, part: CloudstackPart): Promise<number> {
  const { domainId, accountId } = OWN_SCOPE;
  await manager.insert(BackupScheduleRow, { ...part, uuid, vmId, domainId, accountId });
  return (await manager.findOneByOrFail(BackupScheduleRow, { uuid })).id;
}

async function attach(manager: EntityManager, rows: ScheduleRow[]): Promise<Schedule[]> {
  const ids = rows.flatMap(({ backupScheduleId }) => backupScheduleId ?? []);
  const theirs = ids.length === 0 ? [] : await manager.findBy(BackupScheduleRow, { id: In(ids) });
  const byId = new Map(theirs.map((row) => [row.id, row]));
  return rows.map((row) => Object.assign(row, { cloudstack: byId.get(row.backupScheduleId ?? 0) ?? null }));
}
