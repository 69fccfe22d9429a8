import { Injectable } from '@nestjs/common';
import { IsNull, Not, type EntityManager } from 'typeorm';
import { InvariantError, UserError } from '../../domain/errors';
import { now, nowToTheSecond } from '../database-time';
import { HostAccessRow } from '../entities/host-access-row';
import { HostRow } from '../entities/host-row';
import { MaintenanceRow } from '../entities/maintenance-row';
import { VmRow } from '../entities/vm-row';
import type { Listed, Part } from '../page';
import { joinedRows } from '../rows';
import { UnitOfWork } from '../unit-of-work';
import { findLive, namesOf, pageLive, type ReadOwn, refuseNeeded, refuseTaken } from './live-rows';
import { OWN_SCOPE } from './own-scope';

/** How to reach a host, as people give it. */
export type Access = Omit<HostAccessRow, 'hostId' | 'scriptVersion' | 'scriptSha256' | 'installedAt' | 'bootId' | 'restarted'>;
/** A host, how it is reached, and what somebody said of its maintenance; null: nothing. */
export type ReachableHost = HostRow & { readonly access: HostAccessRow; readonly maintenance: MaintenanceRow | null };

/** Whether nothing is begun on a host: CloudStack's state says so, or somebody did here. */
export const isInMaintenance = ({ resourceState, maintenance }: Pick<ReachableHost, 'resourceState' | 'maintenance'>): boolean =>
  resourceState === 'Maintenance' || maintenance !== null;

/** The hypervisors. */
@Injectable()
export class Hosts {
  constructor(private readonly work: UnitOfWork) {}

  /** @throws UserError `host.name-taken` */
  create(host: Pick<HostRow, 'name'> & { readonly uuid: string }, access: Access): Promise<ReachableHost> {
    return this.work.run(async (manager) => {
      await refuseTaken(manager, HostRow, 'name', host.name, 'host.name-taken');
      await manager.insert(HostRow, {
        ...host,
        status: 'Up',
        type: 'Routing',
        privateIpAddress: access.address,
        dataCenterId: OWN_SCOPE.zoneId,
        hypervisorType: 'KVM',
        resourceState: 'Enabled',
      });
      const { id } = await manager.findOneByOrFail(HostRow, { uuid: host.uuid });
      await manager.insert(HostAccessRow, { ...access, hostId: id });
      return (await reachable(manager)('own.id = ?', [id]))[0] as ReachableHost;
    });
  }

  find(uuidOrName: string): Promise<ReachableHost | null> {
    return this.work.read((manager) => findLive(reachable(manager), uuidOrName, 'name'));
  }

  /** By id, removed ones too: old runs still point at them. */
  findById(id: number): Promise<ReachableHost | null> {
    return this.work.read(async (manager) => (await reachable(manager)('own.id = ?', [id]))[0] ?? null);
  }

  /** The host that a VM is on by the books. @throws UserError `vm.no-host` */
  async ofVm({ hostId, instanceName }: Pick<VmRow, 'hostId' | 'instanceName'>): Promise<ReachableHost> {
    const host = hostId === null ? null : await this.findById(hostId);
    if (host !== null && host.removed === null) return host;
    throw new UserError('vm.no-host', 'refused', `The books do not say which host VM ${instanceName} is on.`, {
      next: 'Tell them: PATCH /vms/{id} with its host.',
    });
  }

  /** Names by id. */
  names(ids: readonly number[]): Promise<Map<number, string>> {
    return this.work.read((manager) => namesOf(manager, HostRow, ids));
  }

  page(part: Part): Promise<Listed<ReachableHost>> {
    return this.work.read((manager) => pageLive(reachable(manager), part));
  }

  /** False: there is none. */
  change(id: number, change: Partial<Pick<HostRow, 'resourceState' | 'status'>>, access: Partial<Access> = {}): Promise<boolean> {
    return this.work.run(async (manager) => {
      if (!(await manager.existsBy(HostRow, { id, removed: IsNull() }))) return false;
      const host = { ...change, ...(access.address === undefined ? {} : { privateIpAddress: access.address }) };
      if (Object.keys(host).length > 0) await manager.update(HostRow, { id }, host);
      // What was installed lies at the old path.
      const forgotten = access.scriptPath === undefined ? {} : { scriptVersion: null, scriptSha256: null, installedAt: null };
      if (Object.keys(access).length > 0) await manager.update(HostAccessRow, { hostId: id }, { ...access, ...forgotten });
      return true;
    });
  }

  /** Which host script lies there now. False: there is no such host. */
  recordInstall(id: number, scriptVersion: string, scriptSha256: string): Promise<boolean> {
    return this.work.run(async (manager) => {
      // Where a stock script takes the backups, ours now lies beside it.
      const beside = (await manager.existsBy(HostAccessRow, { hostId: id, stockPath: Not(IsNull()) })) ? { beside: true } : {};
      const change = { scriptVersion, scriptSha256, installedAt: () => now(manager), ...beside };
      return (await manager.update(HostAccessRow, { hostId: id }, change)).affected === 1;
    });
  }

  /** Which boot of a host was seen. True: it was restarted since it was last seen; of all who see that one is told so. */
  noteBoot(hostId: number, bootId: string): Promise<boolean> {
    return this.work.run(async (manager) => {
      const known = await manager.findOneBy(HostAccessRow, { hostId });
      if (known === null || known.bootId === bootId) return false;
      const isFirst = known.bootId === null;
      const { affected } = await manager.update(
        HostAccessRow,
        { hostId, bootId: known.bootId ?? IsNull() },
        { bootId, ...(isFirst ? {} : { restarted: () => now(manager) }) },
      );
      return affected === 1 && !isFirst;
    });
  }

  /** False: there is none. @throws UserError `host.in-use` while a VM is on it */
  remove(id: number): Promise<boolean> {
    return this.work.run(async (manager) => {
      refuseNeeded(await manager.countBy(VmRow, { hostId: id, removed: IsNull() }), 'host.in-use', 'VMs');
      return (
        (await manager.update(HostRow, { id, removed: IsNull() }, { removed: () => nowToTheSecond(manager) })).affected === 1
      );
    });
  }
}

/** The hosts, with how they are reached and their maintenance. */
const reachable =
  (manager: EntityManager): ReadOwn<ReachableHost> =>
  async (rest, parameters) => {
    const rows = await joinedRows(
      manager,
      { own: HostRow },
      { access: HostAccessRow, maintenance: MaintenanceRow },
      `FROM host own LEFT JOIN ck_hosts access ON access.host_id = own.id
         LEFT JOIN ck_maintenances maintenance ON maintenance.owner = 'host' AND maintenance.owner_id = own.id WHERE ${rest}`,
      parameters,
    );
    return rows.map(({ own, access, maintenance }) => {
      if (access === null) throw new InvariantError('host.no-access', `The books do not say how host ${own.name} is reached.`);
      return Object.assign(own, { access, maintenance });
    });
  };
