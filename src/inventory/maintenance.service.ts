import { Injectable } from '@nestjs/common';
import type { MaintenanceRow } from '../database/entities/maintenance-row';
import { DELETING } from '../database/entities/run-row';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Hosts, isInMaintenance } from '../database/repositories/hosts';
import { Maintenances } from '../database/repositories/maintenances';
import { Manifests } from '../database/repositories/manifests';
import type { PlacedRow } from '../database/repositories/placed-row';
import { RunPlaces } from '../database/repositories/run-places';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { type ConcernedRun, type MaintenancePlan, planMaintenance, type RunningWish } from '../domain/run/plan-maintenance';
import { found } from '../platform/found';
import type { BeginMaintenanceDto, ConcernedRunDto, MaintenanceDto } from './dto/maintenance.dto';

/** Waiting runs that are named. */
const NAMED = 100;

/** A host or repository, and what was said of it. */
interface Place {
  readonly owner: MaintenanceRow['owner'];
  readonly ownerId: number;
  readonly uuid: string;
  readonly name: string;
  readonly inMaintenance: boolean;
  readonly maintenance: MaintenanceRow | null;
}

type Plan = MaintenancePlan<Omit<PlacedRow, 'abortAsked'> & ConcernedRun>;

/** Maintenance of hosts and repositories. */
@Injectable()
export class MaintenanceService {
  constructor(
    private readonly maintenances: Maintenances,
    private readonly hosts: Hosts,
    private readonly repositories: BackupRepositories,
    private readonly manifests: Manifests,
    private readonly places: RunPlaces,
    private readonly runs: Runs,
    private readonly vms: Vms,
  ) {}

  async show(owner: Place['owner'], id: string): Promise<MaintenanceDto> {
    const place = await this.#find(owner, id);
    return this.#present(place, await this.#plan(place, 'finish'), false);
  }

  /** From now on nothing is begun there; whatever a worker has picked before and not decided goes back to those that wait. */
  async begin(
    owner: Place['owner'],
    id: string,
    { by, why, running = 'finish' }: BeginMaintenanceDto,
    dryRun: boolean,
  ): Promise<MaintenanceDto> {
    const place = await this.#find(owner, id);
    if (!dryRun) await this.maintenances.begin(place, { begunBy: by, why, running });
    const plan = await this.#plan(place, running);
    if (!dryRun)
      for (const run of plan.toAbort)
        await this.runs.askToAbort(run.id, `It is to stop: ${owner} ${place.name} is in maintenance.`);
    return this.#present(dryRun ? place : await this.#find(owner, id), plan, dryRun);
  }

  async end(owner: Place['owner'], id: string, dryRun: boolean): Promise<MaintenanceDto> {
    const place = await this.#find(owner, id);
    if (!dryRun) await this.maintenances.end(place);
    return this.#present(dryRun ? place : await this.#find(owner, id), await this.#plan(place, 'finish'), dryRun);
  }

  async #find(owner: Place['owner'], id: string): Promise<Place> {
    if (owner === 'host') {
      const host = found(await this.hosts.find(id), 'host', id);
      const { id: ownerId, uuid, name, maintenance } = host;
      return { owner, ownerId, uuid: uuid ?? '', name, maintenance, inMaintenance: isInMaintenance(host) };
    }
    const { id: ownerId, uuid, name, maintenance } = found(await this.repositories.find(id), 'repository', id);
    return { owner, ownerId, uuid, name, maintenance, inMaintenance: maintenance !== null };
  }

  async #plan({ owner, uuid, name }: Place, wish: RunningWish): Promise<Plan> {
    const { rows } = await this.places.look(null, owner === 'host' ? { host: { uuid, name } } : { repository: { uuid, name } });
    const needsIt = ({ state, host, resting }: PlacedRow): boolean => {
      if (owner === 'repository') return resting.repositories.includes(name);
      return state === 'queued' ? resting.host === name : host === name;
    };
    const concerned = rows.filter(needsIt);
    return planMaintenance(
      concerned.map((row) => ({ ...row, deletes: DELETING.includes(row.kind), abortAsked: row.abortAsked !== null })),
      wish,
    );
  }

  async #present(place: Place, { waiting, goingOn, toAbort }: Plan, dryRun: boolean): Promise<MaintenanceDto> {
    const { owner, name, inMaintenance, maintenance } = place;
    const named = waiting.slice(0, NAMED);
    const vms = await this.vms.findMany([...new Set([...named, ...goingOn].map(({ vmId }) => vmId))]);
    const names = new Map(vms.map(({ id, instanceName }) => [id, instanceName]));
    const present = (run: Plan['goingOn'][number]): ConcernedRunDto => ({
      ...{ id: run.id, vm: names.get(run.vmId) ?? '', kind: run.kind, state: run.state },
      abort: run.abortAsked || toAbort.includes(run),
    });
    return {
      ...{ of: owner, name, inMaintenance },
      by: maintenance?.begunBy ?? null,
      why: maintenance?.why ?? null,
      running: maintenance?.running ?? null,
      since: maintenance?.since.toISOString() ?? null,
      goingOn: goingOn.map(present),
      reading: owner === 'host' ? null : await this.manifests.countHashing(place.uuid),
      waits: waiting.length,
      waiting: named.map(present),
      dryRun,
    };
  }
}
