import type { ReachableHost } from '../database/repositories/hosts';
import type { HostAccess } from '../hosts/host-access';
import type { SshConfig } from '../platform/config/ssh.config';

/** How a host is reached: what its row says, and the settings for what it leaves open. */
export function hostAccess({ uuid, name, access }: ReachableHost, ssh: SshConfig): HostAccess {
  return {
    id: uuid ?? name,
    name,
    address: access.address,
    port: access.port,
    user: access.sshUser,
    privateKeyFile: access.privateKeyFile ?? (access.agentSocket === null ? ssh.privateKeyFile : null),
    agentSocket: access.agentSocket,
    fingerprint: access.fingerprint,
    knownHostsFile: access.knownHostsFile ?? ssh.knownHostsFile,
    scriptPath: access.scriptPath,
    stock: access.stockPath === null ? null : { path: access.stockPath, beside: access.beside },
    dialect: access.dialect,
  };
}
