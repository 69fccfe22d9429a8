import { Inject, Injectable } from '@nestjs/common';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Hosts } from '../database/repositories/hosts';
import { judgeRepository } from '../domain/agent/judge-repository';
import { NasHosts } from '../engine/nas-hosts';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import type { RepositoryCheckDto } from './dto/check.dto';
import { lookAtRepository, worstOf } from './looking';

/** Tries on a repository, from a host, everything that a backup will ask of it. */
@Injectable()
export class RepositoryCheckService {
  constructor(
    private readonly hosts: Hosts,
    private readonly nasHosts: NasHosts,
    private readonly repositories: BackupRepositories,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  /** @throws UserError `repository.not-found`, `host.not-found`, `host.none-looks` */
  async check(id: string, from: string | undefined): Promise<RepositoryCheckDto> {
    const repository = found(await this.repositories.find(id), 'repository', id);
    const host = from === undefined ? await this.nasHosts.thatLooks() : found(await this.hosts.find(from), 'host', from);
    const looked = await lookAtRepository(this.client, hostAccess(host, this.config.ssh), repository);
    const findings = judgeRepository(looked, host.name, []);
    return { repository: repository.name, host: host.name, severity: worstOf(findings), findings };
  }
}
