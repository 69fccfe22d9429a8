import { Injectable } from '@nestjs/common';
import type { RunState } from '../../domain/run/run-state';
import { DOWN_STATES } from '../../domain/coverage/judge-coverage';
import { momentOf, now, type RawMoment } from '../database-time';
import type { RunKind } from '../entities/run-row';
import { UnitOfWork } from '../unit-of-work';

/** How much there is to be done, and where it goes. */
export interface WorkFigures {
  /** Runs that have not ended. */
  readonly runs: readonly { readonly state: RunState; readonly kind: RunKind; readonly count: number }[];
  /** For how long the oldest run that waits could have begun; 0: none waits. */
  readonly oldestQueuedSeconds: number;
  /** Moments of schedules that nobody has made a run of yet, and how long the oldest has been due. */
  readonly overdue: number;
  readonly oldestDueSeconds: number;
  readonly leases: number;
  /** Bytes as they were last seen; null: nobody has looked. */
  readonly repositories: readonly { readonly name: string; readonly used: number | null; readonly capacity: number | null }[];
}

/** What a whole statement can tell of the protection of VMs; the words are those of coverage. */
export const FLEET_PROBLEMS = [
  'no-offering',
  'no-repository',
  'repository-maintenance',
  'no-schedule',
  'paused',
  'no-host',
  'host-maintenance',
  'host-down',
  'failing',
  'no-restore-point',
] as const;

/** How well VMs are protected. */
export interface FleetFigures {
  readonly vms: number;
  /** VMs that have it; one VM may have several. */
  readonly problems: Readonly<Record<(typeof FLEET_PROBLEMS)[number], number>>;
  /** The age of the newest backup of the VM whose newest is the oldest; null: there is no backup. */
  readonly oldestBackupSeconds: number | null;
}

type Count = number | string | null;
type Row = Readonly<Record<string, Count>>;

/** Counts over all rows, for whoever watches the service: a few statements, however much there is. */
@Injectable()
export class Figures {
  constructor(private readonly work: UnitOfWork) {}

  /** A tenth of a second where ten thousand runs wait. */
  ofWork(): Promise<WorkFigures> {
    return this.work.read(async (manager) => {
      const at = now(manager);
      const runs = await manager.query<{ state: RunState; kind: RunKind; count: Count; since: RawMoment | null }[]>(
        `SELECT state, kind, COUNT(*) AS count, MIN(COALESCE(not_before, created)) AS since
         FROM ck_runs WHERE state IN ('queued', 'running', 'unknown') GROUP BY state, kind`,
      );
      const repositories = await manager.query<{ name: string; used: Count; capacity: Count }[]>(
        `SELECT name, SUM(used_bytes) AS used, SUM(capacity_bytes) AS capacity
         FROM backup_repository WHERE removed IS NULL GROUP BY name ORDER BY name`,
      );
      const [one] = await manager.query<{ at: RawMoment; leases: Count; overdue: Count; due: RawMoment | null }[]>(
        `SELECT ${at} AS at, (SELECT COUNT(*) FROM ck_vm_leases WHERE lease_until > ${at}) AS leases,
           COUNT(*) AS overdue, MIN(due_at) AS due FROM ck_due WHERE due_at <= ${at}`,
      );
      const { at: clock, leases, overdue, due } = one as NonNullable<typeof one>;
      const secondsSince = (moments: readonly (RawMoment | null)[]): number =>
        Math.max(0, ...moments.map((moment) => (moment === null ? 0 : secondsBetween(moment, clock))));
      return {
        runs: runs.map(({ state, kind, count }) => ({ state, kind, count: Number(count) })),
        oldestQueuedSeconds: secondsSince(runs.flatMap(({ state, since }) => (state === 'queued' ? [since] : []))),
        overdue: Number(overdue),
        oldestDueSeconds: secondsSince([due]),
        leases: Number(leases),
        repositories: repositories.map(({ name, used, capacity }) => ({
          ...{ name, used: used === null ? null : Number(used), capacity: capacity === null ? null : Number(capacity) },
        })),
      };
    });
  }

  /** Looks at every VM: five seconds of a server where there are a hundred thousand. */
  ofFleet(): Promise<FleetFigures> {
    return this.work.read(async (manager) => {
      const [row] = await manager.query<(Row & { readonly at: RawMoment; readonly oldest: RawMoment | null })[]>(
        `SELECT ${now(manager)} AS at, COUNT(*) AS vms, MIN(newest) AS oldest, ${Object.entries(PROBLEMS)
          .map(([problem, condition]) => `SUM(CASE WHEN ${condition} THEN 1 ELSE 0 END) AS ${column(problem)}`)
          .join(', ')}
         FROM (
           SELECT vm.host_id AS host, vm.backup_offering_id AS offering, repository.id AS repository, host.resource_state AS host_state,
             host.status AS host_status,
             CASE WHEN vm.id IN (SELECT run.vm_id FROM ck_runs run WHERE run.state = 'unknown' AND run.error_code LIKE 'host.%')
               THEN 1 ELSE 0 END AS host_silent,
             host_rests.owner_id AS host_rests, repository_rests.owner_id AS repository_rests,
             (SELECT COUNT(*) FROM ck_schedules one WHERE one.vm_id = vm.id)
               + (SELECT COUNT(*) FROM ck_schedules one WHERE one.offering_id = vm.backup_offering_id) AS schedules,
             (SELECT COUNT(*) FROM ck_schedules one WHERE one.vm_id = vm.id AND one.paused IS NULL)
               + (SELECT COUNT(*) FROM ck_schedules one WHERE one.offering_id = vm.backup_offering_id AND one.paused IS NULL) AS going,
             (SELECT run.state FROM ck_runs run WHERE run.vm_id = vm.id AND run.kind = 'backup' AND run.state IN ('succeeded', 'failed')
               ORDER BY run.seq DESC LIMIT 1) AS last_run,
             (SELECT backup.date FROM backups backup WHERE backup.vm_id = vm.id AND backup.status = 'BackedUp'
               ORDER BY backup.id DESC LIMIT 1) AS newest
           FROM vm_instance vm
             LEFT JOIN host ON host.id = vm.host_id
             LEFT JOIN ck_maintenances host_rests ON host_rests.owner = 'host' AND host_rests.owner_id = host.id
             LEFT JOIN backup_offering offering ON offering.id = vm.backup_offering_id
             LEFT JOIN backup_repository repository ON repository.uuid = offering.external_id AND repository.removed IS NULL
             LEFT JOIN ck_maintenances repository_rests ON repository_rests.owner = 'repository' AND repository_rests.owner_id = repository.id
           WHERE vm.removed IS NULL
         ) vms`,
      );
      const { at, oldest, ...counts } = row as NonNullable<typeof row>;
      return {
        vms: Number(counts['vms']),
        problems: Object.fromEntries(
          FLEET_PROBLEMS.map((problem) => [problem, Number(counts[column(problem)])]),
        ) as FleetFigures['problems'],
        oldestBackupSeconds: oldest === null ? null : secondsBetween(oldest, at),
      };
    });
  }
}

/** By the columns of the statement above. */
const PROBLEMS: Readonly<Record<(typeof FLEET_PROBLEMS)[number], string>> = {
  'no-offering': 'offering IS NULL',
  'no-repository': 'offering IS NOT NULL AND repository IS NULL',
  'repository-maintenance': 'repository_rests IS NOT NULL',
  'no-schedule': 'schedules = 0',
  paused: 'schedules > 0 AND going = 0',
  'no-host': 'host IS NULL',
  'host-maintenance': `(host_state = 'Maintenance' OR host_rests IS NOT NULL)`,
  'host-down': `host IS NOT NULL AND (host_silent = 1 OR host_status IN (${DOWN_STATES.map((state) => `'${state}'`).join(', ')}))`,
  failing: `last_run = 'failed'`,
  'no-restore-point': 'newest IS NULL',
};

const column = (problem: string): string => problem.replaceAll('-', '_');
const secondsBetween = (from: RawMoment, to: RawMoment): number => (momentOf(to).getTime() - momentOf(from).getTime()) / 1000;
