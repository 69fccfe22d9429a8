import { Inject, Injectable } from '@nestjs/common';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Hosts, type ReachableHost } from '../database/repositories/hosts';
import { judgeRepository } from '../domain/agent/judge-repository';
import { UserError } from '../domain/errors';
import { canLook } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import type { RepositoryCheckDto } from './dto/check.dto';
import { lookAtRepository, worstOf } from './looking';

/** More hosts than this are not looked through for one that works. */
const HOSTS_LOOKED_AT = 500;

/** Tries on a repository, from a host, everything that a backup will ask of it. */
@Injectable()
export class RepositoryCheckService {
  constructor(
    private readonly hosts: Hosts,
    private readonly repositories: BackupRepositories,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  /** @throws UserError `repository.not-found`, `host.not-found`, `repository.no-host` */
  async check(id: string, from: string | undefined): Promise<RepositoryCheckDto> {
    const repository = found(await this.repositories.find(id), 'repository', id);
    const host = from === undefined ? await this.#anyHost() : found(await this.hosts.find(from), 'host', from);
    const looked = await lookAtRepository(this.client, hostAccess(host, this.config.ssh), repository);
    const findings = judgeRepository(looked, host.name, []);
    return { repository: repository.name, host: host.name, severity: worstOf(findings), findings };
  }

  async #anyHost(): Promise<ReachableHost> {
    const { items } = await this.hosts.page({ limit: HOSTS_LOOKED_AT });
    const host = items.find((one) => one.resourceState === 'Enabled' && canLook(hostAccess(one, this.config.ssh)));
    if (host !== undefined) return host;
    throw new UserError('repository.no-host', 'refused', 'No host is there that could look at a repository.', {
      next: 'Add one with our host script: chainkeeper host add, chainkeeper host install.',
    });
  }
}
