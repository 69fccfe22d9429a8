import { Inject, Injectable } from '@nestjs/common';
import { Hosts, type ReachableHost } from '../database/repositories/hosts';
import { Vms } from '../database/repositories/vms';
import { UserError } from '../domain/errors';
import { canLook, type HostAccess } from '../hosts/host-access';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';

/** Hosts to choose from where a VM has none any more. */
const HOSTS_LOOKED_AT = 100;

/** Hosts that do something on the NAS which needs no VM: every host of a zone reaches its repositories. */
@Injectable()
export class NasHosts {
  constructor(
    private readonly hosts: Hosts,
    private readonly vms: Vms,
    @Inject(Config) private readonly config: Config,
  ) {}

  /** All that work and have our script, seen as if it took the backups there too; the VM's own first. */
  async all(vmId?: number): Promise<HostAccess[]> {
    const vm = vmId === undefined ? null : await this.vms.findById(vmId);
    const { items } = await this.hosts.page({ limit: HOSTS_LOOKED_AT });
    const own = (host: ReachableHost): number => (host.id === vm?.hostId ? 0 : 1);
    return items
      .filter(({ resourceState }) => resourceState === 'Enabled')
      .sort((a, b) => own(a) - own(b))
      .map((host) => hostAccess(host, this.config.ssh))
      .filter(canLook)
      .map((access) => ({ ...access, stock: null }));
  }

  /** @throws UserError `host.none-looks` */
  async thatLooks(vmId: number): Promise<HostAccess> {
    const [first] = await this.all(vmId);
    if (first !== undefined) return first;
    throw new UserError('host.none-looks', 'refused', 'No host is there that has our script and could look at the NAS.', {
      next: 'Put our script on one: chainkeeper host install HOST',
    });
  }
}
