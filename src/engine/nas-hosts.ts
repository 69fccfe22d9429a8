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
    const own = await this.#own(vmId);
    const [first] = own === null ? await this.#working() : [own];
    if (first !== undefined) return first;
    throw new UserError('host.none-usable', 'refused', 'No host is there that could do it.', {
      next: 'Add a host that reaches the repository, or end the maintenance of one.',
    });
  }

  /**
   * One that works and has our script: the VM's own first, where it is about one.
   * @param at where something of the VM goes on just now
   * @throws UserError `host.none-looks`
   */
  async thatLooks(vmId?: number, at?: ReachableHost): Promise<ReachableHost> {
    if (at !== undefined && this.#looks(at)) return at;
    const own = vmId === undefined ? null : await this.#own(vmId);
    const [first] = own !== null && this.#looks(own) ? [own] : await this.#looking();
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

  /** The VM's own, if it works. */
  async #own(vmId: number): Promise<ReachableHost | null> {
    const hostId = (await this.vms.findById(vmId))?.hostId ?? null;
    const host = hostId === null ? null : await this.hosts.findById(hostId);
    return host !== null && works(host) ? host : null;
  }

  async #looking(): Promise<ReachableHost[]> {
    return (await this.#working()).filter((host) => this.#looks(host));
  }

  async #working(): Promise<ReachableHost[]> {
    return (await this.hosts.page({ limit: HOSTS_LOOKED_AT })).items.filter(works);
  }

  #looks(host: ReachableHost): boolean {
    return canLook(hostAccess(host, this.config.ssh));
  }
}

const works = (host: ReachableHost): boolean =>
  host.removed === null && host.resourceState === 'Enabled' && !isInMaintenance(host);
