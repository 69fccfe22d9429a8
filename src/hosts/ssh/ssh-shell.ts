import type { HostAccess } from '../host-access';
import type { RemoteCommand, RemoteResult, RemoteShell } from '../remote-shell';
import { HostLink, type LinkOptions } from './host-link';

const DEFAULTS: LinkOptions = { connectTimeoutMs: 15_000, keepaliveMs: 15_000, idleMs: 60_000 };

/** Runs commands on hosts over SSH, on one pooled connection a host. */
export class SshShell implements RemoteShell {
  readonly #links = new Map<string, HostLink>();
  readonly #options: LinkOptions;

  constructor(options: Partial<LinkOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  run(host: HostAccess, command: RemoteCommand): Promise<RemoteResult> {
    return this.#link(host).run(command);
  }

  async close(): Promise<void> {
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map((link) => link.close()));
  }

  // A host whose address, user or key has changed in the books gets a new connection; the old one closes when idle.
  #link(host: HostAccess): HostLink {
    const { address, port, user, privateKeyFile, agentSocket, fingerprint, knownHostsFile } = host;
    const key = JSON.stringify([address, port, user, privateKeyFile, agentSocket, fingerprint, knownHostsFile]);
    let link = this.#links.get(key);
    if (!link) this.#links.set(key, (link = new HostLink(host, this.#options)));
    return link;
  }
}
