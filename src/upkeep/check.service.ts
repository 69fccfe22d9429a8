import { Inject, Injectable } from '@nestjs/common';
import type { VmRow } from '../database/entities/vm-row';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Hosts, type ReachableHost } from '../database/repositories/hosts';
import { Vms } from '../database/repositories/vms';
import { Volumes } from '../database/repositories/volumes';
import { type HostFinding, unanswered } from '../domain/agent/host-finding';
import { judgeHost } from '../domain/agent/judge-host';
import type { HostAccess } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { loadScript } from '../hosts/script-file';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import type { HostCheckDto } from './dto/check.dto';
import { looking, lookAtRepository, worstOf } from './looking';

/** More repositories or VMs than this are looked at by themselves, not in one check. */
const MOST = 500;

/** Asks a host everything that a backup will need of it. */
@Injectable()
export class CheckService {
  constructor(
    private readonly hosts: Hosts,
    private readonly vms: Vms,
    private readonly volumes: Volumes,
    private readonly repositories: BackupRepositories,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  async check(id: string): Promise<HostCheckDto> {
    const host = found(await this.hosts.find(id), 'host', id);
    const looked = await looking(() => this.#findings(host));
    const findings = 'facts' in looked ? looked.facts : [unanswered(host.name, looked.failed)];
    return { host: host.name, severity: worstOf(findings), findings };
  }

  async #findings(host: ReachableHost): Promise<HostFinding[]> {
    const access = hostAccess(host, this.config.ssh);
    const { sha256, shellMs } = await this.client.probe(access);
    const check = await this.client.check(access, null);
    // The host read its clock at the end of its answer.
    const clockMs = Date.parse(check.time) - Date.now();
    const { items } = await this.repositories.page({ limit: MOST });
    const repositories = [];
    for (const repository of items) repositories.push(await lookAtRepository(this.client, access, repository));
    const vms = [];
    for (const vm of (await this.vms.onHost(host.id)).slice(0, MOST))
      vms.push({ name: vm.instanceName, look: await looking(() => this.#inspect(vm, access)) });
    const leftovers = access.stock === null ? (await this.client.sweep(access, { dryRun: true })).items : null;
    const script = { ours: (await loadScript()).sha256, there: sha256 };
    return judgeHost({ host: host.name, user: access.user, script, shellMs, clockMs, check, repositories, vms, leftovers });
  }

  async #inspect(vm: VmRow, access: HostAccess): ReturnType<HostClient['inspect']> {
    const diskPaths = (await this.volumes.ofVm(vm.id)).map(({ path }) => path);
    return this.client.inspect(access, { vm: vm.instanceName, diskPaths });
  }
}
