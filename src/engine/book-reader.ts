import { Injectable } from '@nestjs/common';
import type { LinkRow } from '../database/entities/link-row';
import { Backups, type BookedBackup as BackupWithDetails } from '../database/repositories/backups';
import { Evidence, type MeasuredEvidence } from '../database/repositories/evidence';
import { Offerings } from '../database/repositories/offerings';
import { Resizes } from '../database/repositories/resizes';
import { Restores } from '../database/repositories/restores';
import { Runs } from '../database/repositories/runs';
import { Schedules } from '../database/repositories/schedules';
import { Vms } from '../database/repositories/vms';
import type { InspectFacts } from '../domain/agent/facts';
import type { Assurance } from '../domain/chain/assurance';
import type { BackupPlan } from '../domain/chain/backup-plan';
import {
  type BackupStatus,
  type BookedBackup,
  type BookedDisk,
  type Books,
  type DiskResize,
} from '../domain/chain/booked-backup';
import { NOT_COMPARED_KEY, readActiveCheckpoint, readChainKeys } from '../domain/chain/chain-keys';
import type { DeletionBooks } from '../domain/chain/plan-deletion';
import type { RetentionBooks } from '../domain/retention/plan-retention';
import { bookedDisks } from '../domain/chain/read-run';

/** How many plans are looked through for the last name they used. Names only ever go up, so the newest has it. */
const PLANS_BACK = 5;

/** CloudStack's interval types by their numbers; a VM has one schedule of each. */
const SCHEDULE_TYPES = ['hourly', 'daily', 'weekly', 'monthly'];

/** A booked backup with the row and the evidence it was read from. */
export interface BackupInBooks {
  readonly row: BackupWithDetails;
  /** What its run said; undefined when nothing was kept. */
  readonly evidence: MeasuredEvidence | undefined;
  readonly booked: BookedBackup;
}

/** Reads the books into the words of the domain. */
@Injectable()
export class BookReader {
  constructor(
    private readonly backups: Backups,
    private readonly evidence: Evidence,
    private readonly restores: Restores,
    private readonly resizes: Resizes,
    private readonly runs: Runs,
    private readonly vms: Vms,
    private readonly offerings: Offerings,
    private readonly schedules: Schedules,
  ) {}

  /** All that a decision about a VM needs to know, and when that is (epoch seconds): orchestrators may disagree about the time, the books are one. */
  async books(vmId: number): Promise<Books & { readonly now: number }> {
    const backups = await this.ofVm(vmId);
    const { active } = readActiveCheckpoint(await this.vms.details(vmId));
    const { at: restoredAt, now } = await this.restores.lastOfVm(vmId);
    return {
      backups: backups.map(({ booked }) => booked),
      activeCheckpointId: active,
      lastUsedEpoch: await this.#lastUsedEpoch(vmId),
      restoredAt: restoredAt === null ? null : Math.floor(restoredAt.getTime() / 1000),
      resizes: await this.#resizesSince(vmId, backups.find(isTaken)),
      inspections: await this.#inspectionsSince(vmId, backups),
      now: Math.floor(now.getTime() / 1000),
    };
  }

  /** All that a deletion from a VM needs to know; `inBooks`: its backups, where somebody has read them already. */
  async deletionBooks(vmId: number, inBooks?: readonly BackupInBooks[]): Promise<DeletionBooks> {
    const all = inBooks ?? (await this.ofVm(vmId));
    const details = await this.vms.details(vmId);
    return {
      backups: all.map(({ booked }) => booked),
      activeCheckpointId: readActiveCheckpoint(details).active,
      notComparedSince: details.find(({ name }) => name === NOT_COMPARED_KEY)?.value ?? null,
      protections: all.flatMap(({ row: { uuid: backup, protection } }) => {
        if (protection === undefined) return [];
        const { until, protectedBy: by, why } = protection;
        return [{ backup, until: until === null ? null : until.getTime() / 1000, by, why }];
      }),
    };
  }

  /** All that retention needs to know of a VM; `inBooks` as for a deletion. */
  async retentionBooks(vmId: number, inBooks?: readonly BackupInBooks[]): Promise<RetentionBooks> {
    const all = inBooks ?? (await this.ofVm(vmId));
    const triggers = await this.runs.triggers(all.flatMap(({ row }) => row.link?.runId ?? []));
    const byItself = ({ row }: BackupInBooks): boolean =>
      row.backupScheduleId !== null || ['schedule', 'service'].includes(triggers.get(row.link?.runId ?? '') ?? '');
    return {
      ...(await this.deletionBooks(vmId, all)),
      origins: new Map(
        all.map((one) => [one.row.uuid, { scheduleId: one.row.backupScheduleId, manual: !byItself(one) }] as const),
      ),
      schedules: (await this.schedules.ofVm(vmId)).map(({ id, scheduleType, maxBackups }) => ({
        ...{ id, name: SCHEDULE_TYPES[scheduleType ?? -1] ?? 'nameless', maxBackups },
      })),
    };
  }

  /** The backups of a VM, newest first. */
  async ofVm(vmId: number): Promise<BackupInBooks[]> {
    return this.attach(await this.backups.listByVm(vmId));
  }

  /** Reads what is known of these backups, in their order. */
  async attach(rows: readonly BackupWithDetails[]): Promise<BackupInBooks[]> {
    const ids = rows.map(({ id }) => id);
    const evidence = await this.evidence.ofBackups(ids);
    const offered = await this.#offeredTo(rows.filter(({ link }) => repositoryOf(link) === undefined));
    // Of one that was asked again the last has it.
    const evidenceOf = new Map(evidence.map((one) => [one.backupId, one]));
    return rows.map((row) => {
      const measured = evidenceOf.get(row.id);
      return { row, evidence: measured, booked: toBooked(row, offered.get(row.backupOfferingId) ?? null, measured) };
    });
  }

  /** The repositories that the offerings of these backups point at. */
  async #offeredTo(rows: readonly BackupWithDetails[]): Promise<Map<number, string | null>> {
    const ids = [...new Set(rows.map(({ backupOfferingId }) => backupOfferingId))];
    return new Map(
      await Promise.all(ids.map(async (id) => [id, (await this.offerings.findById(id))?.externalId ?? null] as const)),
    );
  }

  async #lastUsedEpoch(vmId: number): Promise<number | null> {
    const plans = await this.runs.plans(vmId, PLANS_BACK);
    const epochs = plans.flatMap((plan) => epochOf(plan as BackupPlan | null) ?? []);
    return epochs.length === 0 ? null : Math.max(...epochs);
  }

  /** What we were told since a backup was taken, or while it was. */
  async #resizesSince(vmId: number, taken: BackupInBooks | undefined): Promise<DiskResize[]> {
    const { date, link } = taken?.row ?? {};
    const told = (await this.resizes.ofVm(vmId)).filter(({ at, runId }) => !date || at > date || runId === link?.runId);
    return told.map(({ target, sizeFrom: from, sizeTo: to }) => ({ target, from, to }));
  }

  /** Every inspection after the newest backup was taken: the witnesses of its bitmap's lineage. */
  async #inspectionsSince(vmId: number, backups: readonly BackupInBooks[]): Promise<Pick<InspectFacts, 'disks'>[]> {
    const newest = backups.find(isTaken);
    const from = newest && (newest.evidence?.id ?? (await this.#lookAfter(newest)));
    if (from === undefined) return [];
    const since = (await this.evidence.ofVm(vmId, from)).filter(({ kind }) => kind === 'inspect');
    const texts = await Promise.all(since.map(({ id }) => this.evidence.verbatim(id)));
    return texts.flatMap((text) => (text === null ? [] : [JSON.parse(text) as InspectFacts]));
  }

  /** A stock script measures nothing: the first witness is what was seen after its run, if anybody looked. */
  async #lookAfter({ row: { link } }: BackupInBooks): Promise<number | undefined> {
    if (link?.runId == null) return undefined;
    const looks = (await this.evidence.ofRun(link.runId)).filter(({ kind }) => kind === 'inspect');
    const last = looks.at(-1);
    return last && last.id - (looks.length > 1 ? 1 : 0);
  }
}

const isTaken = ({ booked }: BackupInBooks): boolean => booked.status === 'BackedUp';

function epochOf(plan: BackupPlan | null): number | null {
  const epoch = /^backup-(\d+)$/.exec(plan?.bitmapNew ?? '')?.[1];
  if (epoch !== undefined) return Number(epoch);
  const path = /\/(\d{4})\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)\.(\d\d)$/.exec(plan?.backupPath ?? '');
  if (path === null) return null;
  const [year = 0, month = 1, day, hour, minute, second] = path.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
}

/** An offering may have been moved to another repository since; the plan says where the files went. Undefined: there is none. */
const repositoryOf = (link: LinkRow | undefined): string | undefined =>
  (link?.planned as BackupPlan | null | undefined)?.repositoryId;

function toBooked(row: BackupWithDetails, offeredId: string | null, evidence: MeasuredEvidence | undefined): BookedBackup {
  const { link, manifest } = row;
  const spoilt = manifest?.missing != null ? 'missing' : manifest?.damaged != null ? 'damaged' : null;
  return {
    uuid: row.uuid,
    status: statusOf(row),
    type: row.type === 'INCREMENTAL' ? 'INCREMENTAL' : 'FULL',
    externalId: row.externalId,
    date: row.date === null ? null : Math.floor(row.date.getTime() / 1000),
    size: row.size,
    repositoryId: repositoryOf(link) ?? offeredId,
    details: row.details,
    disks: disksOf(link, evidence),
    // Whoever looked is a witness: whatever was said before, these files are not what was backed up.
    assurance: spoilt !== null ? 'broken' : ((link?.assurance ?? null) as Assurance | null),
    // Our script checks every file before it unmounts; of other runs nobody has looked.
    files: spoilt ?? (evidence?.disks.every(({ checkResult }) => checkResult === 'ok') ? 'present' : 'unknown'),
  };
}

/** CloudStack's provider may tag what goes later, and leave its status as it was: to us it is hidden. */
function statusOf({ status, details }: BackupWithDetails): BackupStatus {
  if (status === 'BackedUp' && readChainKeys(details).keys.deletePending) return 'Hidden';
  return (status ?? 'Error') as BackupStatus;
}

/** The plan knows the order of the disks, the run what became of them. A stock script tells nothing of its disks. */
function disksOf(link: LinkRow | undefined, evidence: MeasuredEvidence | undefined): BookedDisk[] {
  const plan = (link?.planned ?? null) as BackupPlan | null;
  if (evidence === undefined && plan !== null) return bookedDisks(plan, null);
  const planned = plan?.disks ?? [];
  return (evidence?.disks ?? []).map((disk, index) => ({
    target: disk.target,
    deviceId: planned.find(({ target }) => target === disk.target)?.deviceId ?? index,
    path: disk.path,
    inode: disk.inode,
    format: planned.find(({ target }) => target === disk.target)?.format ?? null,
    virtualSize: disk.virtualSize,
    file: disk.file,
  }));
}
