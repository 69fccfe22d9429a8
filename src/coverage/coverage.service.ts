import { Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Dues } from '../database/repositories/dues';
import { Evidence } from '../database/repositories/evidence';
import { Hosts, isInMaintenance } from '../database/repositories/hosts';
import { Offerings } from '../database/repositories/offerings';
import { Runs } from '../database/repositories/runs';
import { type Schedule, Schedules } from '../database/repositories/schedules';
import { Vms } from '../database/repositories/vms';
import { Volumes } from '../database/repositories/volumes';
import { restorePoints } from '../domain/chain/restore-points';
import { type CoverageBooks, type CoverageProblem, judgeCoverage, type PromisedBackup } from '../domain/coverage/judge-coverage';
import { previousRun } from '../domain/schedule/previous-run';
import { BookReader } from '../engine/book-reader';
import { Rhythms } from '../engine/rhythms';
import { found } from '../platform/found';
import { type Page, toPage, toPart } from '../platform/page';
import type { CoverageDto, CoverageProblemDto, CoverageQuery } from './dto/coverage.dto';

/** Runs that are looked back at. */
const RUNS_BACK = 20;

/** How well VMs and their disks are protected. */
@Injectable()
export class CoverageService {
  constructor(
    private readonly vms: Vms,
    private readonly volumes: Volumes,
    private readonly hosts: Hosts,
    private readonly offerings: Offerings,
    private readonly repositories: BackupRepositories,
    private readonly schedules: Schedules,
    private readonly dues: Dues,
    private readonly runs: Runs,
    private readonly evidence: Evidence,
    private readonly reader: BookReader,
    private readonly rhythms: Rhythms,
  ) {}

  async list({ vm, only, ...query }: CoverageQuery): Promise<Page<CoverageDto>> {
    const now = await this.dues.now();
    const listed =
      vm === undefined ? await this.vms.page(toPart(query)) : { items: [found(await this.vms.find(vm), 'vm', vm)], next: null };
    const all = await Promise.all(listed.items.map((row) => this.#judge(row, now)));
    const items = all.filter(({ problems, state }) => only === undefined || problems.length > 0 || state !== 'protected');
    return toPage({ items, next: listed.next }, (dto) => dto);
  }

  async #judge(vm: VmRow, now: Date): Promise<CoverageDto> {
    const books = await this.#books(vm, now);
    const { state, problems, disks } = judgeCoverage(books);
    const [next] = await this.dues.next(1, { vmId: vm.id });
    return {
      vmId: vm.uuid ?? '',
      vm: vm.instanceName,
      state,
      lastSucceeded: books.newest?.date.toISOString() ?? null,
      newestBackupId: books.newest?.id ?? null,
      nextDue: next?.dueAt?.toISOString() ?? null,
      problems: problems.map(present),
      disks: disks.map((disk) => ({ ...disk, problem: disk.problem && present(disk.problem) })),
    };
  }

  async #books(vm: VmRow, now: Date): Promise<CoverageBooks> {
    const offering = vm.backupOfferingId === null ? null : await this.offerings.findById(vm.backupOfferingId);
    const repository = offering && (await this.repositories.find(offering.externalId ?? ''));
    const host = vm.hostId === null ? null : await this.hosts.findById(vm.hostId);
    const { items: runs } = await this.runs.page({ limit: RUNS_BACK }, { vmId: vm.id });
    const schedules = await this.schedules.holding(vm.id, vm.backupOfferingId);
    const [looked] = (await this.evidence.ofVm(vm.id)).slice(-1);
    const formats = new Map((looked?.disks ?? []).map(({ target, format }) => [target, format]));
    return {
      vm: vm.instanceName,
      offering: offering && {
        name: offering.name,
        repository: repository && { name: repository.name, maintenance: repository.maintenance !== null },
      },
      host: host && { name: host.name, maintenance: isInMaintenance(host), status: host.status },
      silence: silenceOf(runs),
      schedules: schedules.map((schedule) => this.#promised(schedule, vm, now)),
      disks: (await this.volumes.ofVm(vm.id)).map(({ target }) => ({ target, format: formats.get(target) ?? null })),
      newest: await this.#newest(vm.id),
      runs: runs.flatMap(({ kind, state, errorCode, ended }) =>
        kind === 'backup' && ended ? [{ state, errorCode, ended }] : [],
      ),
    };
  }

  /** What was named before the schedule was last changed it did not promise. */
  #promised(schedule: Schedule, vm: VmRow, now: Date): PromisedBackup {
    const { id, paused, graceSeconds, changed } = schedule;
    const rhythm = this.rhythms.of(schedule, vm);
    const last = rhythm && new Date(now.getTime() - (graceSeconds + rhythm.jitter) * 1000);
    const promised = rhythm && last && previousRun(rhythm.recurrence, rhythm.zone, last);
    const readable = rhythm !== null || paused !== null;
    return { id, paused: paused !== null, readable, promised: promised && promised >= changed ? promised : null };
  }

  async #newest(vmId: number): Promise<CoverageBooks['newest']> {
    const all = await this.reader.ofVm(vmId);
    const points = restorePoints(all.map(({ booked }) => booked));
    const [point] = points.sort((a, b) => (b.backup.date ?? 0) - (a.backup.date ?? 0));
    if (point === undefined) return null;
    const { uuid, date, disks } = point.backup;
    return {
      id: uuid,
      date: new Date((date ?? 0) * 1000),
      assurance: point.assurance,
      disks: disks.length === 0 ? null : disks.flatMap(({ target, file }) => (file === null ? [] : [target])),
    };
  }
}

/** A run whose host does not answer is unknown until it does. */
function silenceOf(runs: readonly RunRow[]): CoverageBooks['silence'] {
  const silent = runs.find(({ state, errorCode }) => state === 'unknown' && errorCode?.startsWith('host.'));
  return silent === undefined ? null : { runId: silent.id, errorCode: silent.errorCode ?? '' };
}

const present = ({ since, ...problem }: CoverageProblem): CoverageProblemDto => ({
  ...problem,
  since: since?.toISOString() ?? null,
});
