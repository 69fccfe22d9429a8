import type { Dialect } from '../domain/agent/facts';

/** Where `host install` puts the host script when nobody says otherwise. */
export const DEFAULT_SCRIPT_PATH = '/usr/local/lib/chainkeeper/nasbackup.sh';

/** How a hypervisor is reached and which host script lies there. */
export interface HostAccess {
  readonly id: string;
  readonly name: string;
  /** Host name or IP address. */
  readonly address: string;
  readonly port: number;
  /** Login; anyone but root runs the host script through `sudo -n`. */
  readonly user: string;
  /** Private key on the orchestrator, a file without passphrase; null: the SSH agent has it. */
  readonly privateKeyFile: string | null;
  /** Socket of an SSH agent; used where there is no key file. */
  readonly agentSocket: string | null;
  /** `SHA256:...` of the host's key. Where it is set, it alone decides. */
  readonly fingerprint: string | null;
  /** OpenSSH known_hosts file; decides where no fingerprint is pinned. Neither: every key is refused. */
  readonly knownHostsFile: string | null;
  /** Absolute path of the host script on the host. */
  readonly scriptPath: string;
  readonly dialect: Dialect;
}
