import type { VmRow } from '../database/entities/vm-row';
import type { Hosts, ReachableHost } from '../database/repositories/hosts';
import { UserError } from '../domain/errors';

/** Hosts to choose from where a VM has none any more. */
const HOSTS_LOOKED_AT = 100;

/**
 * A host for what any can do: the VM's own, or one that works. A backup outlives its VM, and every host of a zone reaches its repositories.
 * @throws UserError `host.none-usable`
 */
export async function usableHost(hosts: Hosts, { hostId }: Pick<VmRow, 'hostId'>): Promise<ReachableHost> {
  const own = hostId === null ? null : await hosts.findById(hostId);
  if (own !== null && isUsable(own)) return own;
  const other = (await hosts.page({ limit: HOSTS_LOOKED_AT })).items.find(isUsable);
  if (other !== undefined) return other;
  throw new UserError('host.none-usable', 'refused', 'No host is there that could do it.', {
    next: 'Add a host that reaches the repository, or end the maintenance of one.',
  });
}

const isUsable = ({ removed, resourceState }: ReachableHost): boolean => removed === null && resourceState === 'Enabled';
