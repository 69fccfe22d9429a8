import { Inject, Injectable } from '@nestjs/common';
import { Hosts, isInMaintenance, type ReachableHost } from '../database/repositories/hosts';
import { Vms } from '../database/repositories/vms';
import { UserError } from '../domain/errors';
import { canLook, type HostAccess } from '../hosts/host-access';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';

/** Hosts to choose from where a VM has none any more. */
const HOSTS_LOOKED_AT = 100;

/**
 * Hosts that do something on the NAS which needs no running VM: every host of a zone reaches its repositories, and a backup outlives its VM.
 */
@Injectable()
export class NasHosts {
  constructor(
    private readonly hosts: Hosts,
    private readonly vms: Vms,
    @Inject(Config) private readonly config: Config,
  ) {}

  /** One for what every script can do: the VM's own, or any that works. @throws UserError `host.none-usable` */
  async any(vmId: number): Promise<ReachableHost> {
    const [first] = await this.#working(vmId);
    if (first !== undefined) return first;
    throw new UserError('host.none-usable', 'refused', 'No host is there that could do it.', {
      next: 'Add a host that reaches the repository, or end the maintenance of one.',
    });
  }

  /** One that works and has our script: the VM's own first, where it is about one. @throws UserError `host.none-looks` */
  async thatLooks(vmId?: number): Promise<ReachableHost> {
    const [first] = await this.#looking(vmId);
    if (first !== undefined) return first;
    throw new UserError('host.none-looks', 'refused', 'No host is there that works and has our script, which this needs.', {
      next: 'Put our script on one: chainkeeper host install HOST',
    });
  }

  /** All that work, for what every script can do. */
  async working(): Promise<HostAccess[]> {
    return (await this.#working()).map((host) => hostAccess(host, this.config.ssh));
  }

  /** All that work and have our script. */
  async all(): Promise<HostAccess[]> {
    return (await this.#looking()).map((host) => this.accessOfOurs(host));
  }

  /** A host seen as if our script took the backups there too. */
  accessOfOurs(host: ReachableHost): HostAccess {
    return { ...hostAccess(host, this.config.ssh), stock: null };
  }

  async #looking(vmId?: number): Promise<ReachableHost[]> {
    return (await this.#working(vmId)).filter((host) => canLook(hostAccess(host, this.config.ssh)));
  }

  /** The VM's own comes first. */
  async #working(vmId?: number): Promise<ReachableHost[]> {
    const vm = vmId === undefined ? null : await this.vms.findById(vmId);
    const { items } = await this.hosts.page({ limit: HOSTS_LOOKED_AT });
    const others = (host: ReachableHost): number => (host.id === vm?.hostId ? 0 : 1);
    return items
      .filter((host) => host.removed === null && host.resourceState === 'Enabled' && !isInMaintenance(host))
      .sort((a, b) => others(a) - others(b));
  }
}
