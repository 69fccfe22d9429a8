import type { HostScript } from '../domain/agent/build-argv';
import type { Dialect } from '../domain/agent/facts';

/** Where `host install` puts the host script when nobody says otherwise. */
export const DEFAULT_SCRIPT_PATH = '/usr/local/lib/chainkeeper/nasbackup.sh';

/** Where CloudStack's packages put their script. */
export const CLOUDSTACK_SCRIPT_PATH = '/usr/share/cloudstack-common/scripts/vm/hypervisor/kvm/nasbackup.sh';

/** A stock script that takes the backups of a host. */
export interface StockScript {
  /** Absolute path of it. */
  readonly path: string;
  /** Our script lies beside it, at `scriptPath`: it looks and verifies, and changes nothing. */
  readonly beside: boolean;
}

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
  /** Absolute path of our host script on the host. */
  readonly scriptPath: string;
  /** Null: our script takes the backups. */
  readonly stock: StockScript | null;
  /** Of the script that takes the backups. */
  readonly dialect: Dialect;
}

/** The script that takes the backups of a host, as an order to it is written. */
export function hostScript({ stock, dialect }: Pick<HostAccess, 'stock' | 'dialect'>): HostScript {
  return stock === null ? { kind: 'ours', dialect: dialect === 'final' ? 'final' : 'seed' } : { kind: 'stock', dialect };
}

/** Whether our script is there to look at VMs. */
export const canLook = ({ stock }: Pick<HostAccess, 'stock'>): boolean => stock === null || stock.beside;
