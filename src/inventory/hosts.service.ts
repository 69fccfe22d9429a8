import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { HostAccessRow } from '../database/entities/host-access-row';
import { Hosts, type ReachableHost } from '../database/repositories/hosts';
import { CLOUDSTACK_SCRIPT_PATH, DEFAULT_SCRIPT_PATH } from '../hosts/host-access';
import { UserError } from '../domain/errors';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import { type Page, type PageQuery, toPage, toPart } from '../platform/page';
import type { CreateHostDto, HostDto, InstalledScriptDto, InstallHostDto, ScriptWishes, UpdateHostDto } from './dto/host.dto';
import { hostAccess } from './host-access';
import { saidMaintenance } from './said-maintenance';

@Injectable()
export class HostsService {
  constructor(
    private readonly hosts: Hosts,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  async create({
    name,
    address,
    port,
    user,
    privateKeyFile,
    fingerprint,
    scriptPath,
    ...script
  }: CreateHostDto): Promise<HostDto> {
    const host = await this.hosts.create(
      { name, uuid: randomUUID() },
      {
        address: address ?? name,
        port: port ?? 22,
        sshUser: user ?? 'chainkeeper',
        privateKeyFile: privateKeyFile ?? null,
        agentSocket: null,
        knownHostsFile: null,
        fingerprint: fingerprint ?? null,
        scriptPath: scriptPath ?? DEFAULT_SCRIPT_PATH,
        ...changeScript({ stockPath: null, beside: false, dialect: 'seed' }, script),
      },
    );
    return present(host);
  }

  async list(query: PageQuery): Promise<Page<HostDto>> {
    return toPage(await this.hosts.page(toPart(query)), present);
  }

  async show(id: string): Promise<HostDto> {
    return present(found(await this.hosts.find(id), 'host', id));
  }

  async update(
    id: string,
    { resourceState, user, script, stockPath, beside, dialect, ...rest }: UpdateHostDto,
  ): Promise<HostDto> {
    const row = found(await this.hosts.find(id), 'host', id);
    const changed = [script, stockPath, beside, dialect].some((value) => value !== undefined);
    const access = Object.fromEntries(
      Object.entries({
        ...rest,
        sshUser: user,
        ...(changed ? changeScript(row.access, { script, stockPath, beside, dialect }) : {}),
      }).filter(([, value]) => value !== undefined),
    );
    await this.hosts.change(row.id, resourceState === undefined ? {} : { resourceState }, access);
    return this.show(row.uuid ?? id);
  }

  async remove(id: string): Promise<void> {
    const { id: row } = found(await this.hosts.find(id), 'host', id);
    await this.hosts.remove(row);
  }

  /** Puts the host script there; what lies there afterwards is written down with version and checksum. */
  async install(id: string, { as }: InstallHostDto, dryRun: boolean): Promise<InstalledScriptDto> {
    const row = found(await this.hosts.find(id), 'host', id);
    const done = await this.client.install(hostAccess(row, this.config.ssh), { dryRun, ...(as === undefined ? {} : { as }) });
    if (!dryRun) await this.hosts.recordInstall(row.id, done.version, done.sha256);
    return { ...done, byHand: [...done.byHand] };
  }
}

type Script = Pick<HostAccessRow, 'stockPath' | 'beside' | 'dialect'>;

/**
 * Which script takes the backups of a host from now on.
 * @throws UserError `host.script-contradiction`
 */
function changeScript(now: Script, { script, stockPath, beside, dialect = now.dialect }: ScriptWishes): Script {
  const refuse = (message: string, next: string): never => {
    throw new UserError('host.script-contradiction', 'invalid', message, { next });
  };
  const kind = script ?? (now.stockPath === null ? 'ours' : 'stock');
  if (kind === 'stock')
    return { stockPath: stockPath ?? now.stockPath ?? CLOUDSTACK_SCRIPT_PATH, beside: beside ?? now.beside, dialect };
  if (stockPath !== undefined || beside !== undefined)
    refuse('A path of a stock script, or ours beside it, goes with a stock script only.', 'Say so: script "stock".');
  if (dialect === 'legacy' || dialect === 'mid')
    refuse(`Our script does not speak the dialect ${dialect}.`, 'Ours speaks seed and final; legacy and mid are stock scripts.');
  return { stockPath: null, beside: false, dialect };
}

const present = ({ uuid, name, resourceState, maintenance, access }: ReachableHost): HostDto => ({
  id: uuid ?? '',
  name,
  address: access.address,
  port: access.port,
  user: access.sshUser,
  privateKeyFile: access.privateKeyFile,
  fingerprint: access.fingerprint,
  scriptPath: access.scriptPath,
  script: access.stockPath === null ? 'ours' : 'stock',
  stockPath: access.stockPath,
  beside: access.beside,
  dialect: access.dialect,
  resourceState,
  maintenance: saidMaintenance(maintenance),
  scriptVersion: access.scriptVersion,
  scriptSha256: access.scriptSha256,
  installedAt: access.installedAt?.toISOString() ?? null,
});
