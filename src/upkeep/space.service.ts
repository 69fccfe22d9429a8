import { Inject, Injectable } from '@nestjs/common';
import { BackupRepositories, type RepositoryWithWay } from '../database/repositories/backup-repositories';
import { buildStats, secretsOf } from '../domain/agent/build-argv';
import { readStats, type RepositoryStats } from '../domain/agent/read-stats';
import { ChainkeeperError, OperationalError } from '../domain/errors';
import { NasHosts } from '../engine/nas-hosts';
import { mountOf } from '../engine/planner';
import { type HostAccess, hostScript } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { redact } from '../hosts/redact';
import { spaceOf } from '../inventory/space-of';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';

/** Repositories that are looked at, and hosts that are asked, one after another. */
const REPOSITORIES = 500;
const HOSTS_TRIED = 3;
/** A NAS that needs longer to say how full it is has other troubles. */
const STATS_MS = 120_000;

/** Looks how full the repositories are, and tells of those that are filling up. A warning: whatever is taken there is still taken. */
@Injectable()
export class SpaceService {
  constructor(
    private readonly repositories: BackupRepositories,
    private readonly nasHosts: NasHosts,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Looks at each once, but for those in maintenance. One that cannot be reached keeps what was seen of it last. */
  async turn(signal: AbortSignal): Promise<void> {
    const { items } = await this.repositories.page({ limit: REPOSITORIES });
    for (const { uuid } of items) {
      if (signal.aborted) return;
      // Each takes its time, and one may be in maintenance by now.
      const repository = await this.repositories.find(uuid);
      if (repository === null || repository.maintenance !== null) continue;
      const stats = await this.#ask(repository);
      if (stats === null) continue;
      await this.repositories.change(repository.id, stats);
      const seen = { ...repository, ...stats };
      const { warning, fullOn } = await spaceOf(this.repositories, seen, this.config.engine.spaceWarnPercent);
      if (warning !== null) this.log.warn({ repository: repository.name, fullOn, detail: warning }, 'a repository is filling up');
    }
  }

  async #ask(repository: RepositoryWithWay): Promise<RepositoryStats | null> {
    for (const host of (await this.nasHosts.working()).slice(0, HOSTS_TRIED)) {
      try {
        return await this.#askOn(host, repository);
      } catch (error) {
        if (!(error instanceof ChainkeeperError)) throw error;
        this.log.warn({ err: error, repository: repository.name, host: host.name }, 'nobody could look how full it is');
      }
    }
    return null;
  }

  async #askOn(host: HostAccess, repository: RepositoryWithWay): Promise<RepositoryStats> {
    const mount = mountOf(repository);
    const command = buildStats(hostScript(host), mount);
    const { exit, stdout, stderr } = await this.client.run(host, { ...command, deadlineMs: STATS_MS });
    const stats = exit === 0 ? readStats(stdout) : null;
    if (stats !== null) return stats;
    const said = redact(stderr, secretsOf(mount)).trim();
    throw new OperationalError('repository.no-stats', 'failed', `${host.name} could not say it: ${said || `exit ${exit}`}`, {
      facts: { stderr: said, exit },
    });
  }
}
