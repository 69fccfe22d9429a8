import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { BackupRepositories, type RepositoryWithWay } from '../database/repositories/backup-repositories';
import { judgeMountOptions, type MountAdvice, type MountWish } from '../domain/agent/judge-mount-options';
import { mountOptionNames } from '../domain/agent/mount-options';
import { checkName, isName } from '../domain/agent/names';
import { UserError } from '../domain/errors';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import { type Page, type PageQuery, toPage, toPart } from '../platform/page';
import type { CreateRepositoryDto, RepositoryDto, UpdateRepositoryDto } from './dto/repository.dto';
import { refusePushUnderLimit } from './refuse-push-under-limit';
import { mountWishOf } from './mount-wish';
import { saidMaintenance } from './said-maintenance';
import { type RepositorySpace, spaceOf } from './space-of';

@Injectable()
export class RepositoriesService {
  constructor(
    private readonly repositories: BackupRepositories,
    @Inject(Config) private readonly config: Config,
  ) {}

  async create({
    name,
    type,
    address,
    mountOptions = '',
    transfer = null,
    bandwidth = null,
  }: CreateRepositoryDto): Promise<RepositoryDto> {
    checkName('mount', type);
    checkName('address', address);
    checkName('options', mountOptions);
    if (type === 'dir' && !isName('disk', address))
      throw new UserError(
        'repository.address',
        'invalid',
        `A repository of type dir needs an absolute path, not ${JSON.stringify(address)}.`,
      );
    refuseBadOptions(mountWishOf({ type, mountOpts: mountOptions, transfer, bandwidth }));
    refusePushUnderLimit('repository', { transfer, bandwidth });
    const repository = { uuid: randomUUID(), name, type, address, mountOpts: mountOptions };
    return this.#present(await this.repositories.create(repository, { transfer, bandwidth }));
  }

  async list(query: PageQuery): Promise<Page<RepositoryDto>> {
    const { items, next } = await this.repositories.page(toPart(query));
    const presented = await Promise.all(items.map((row) => this.#present(row)));
    return toPage({ items: presented, next }, (dto) => dto);
  }

  async show(id: string): Promise<RepositoryDto> {
    return this.#present(found(await this.repositories.find(id), 'repository', id));
  }

  async update(id: string, { name, mountOptions, transfer, bandwidth }: UpdateRepositoryDto): Promise<RepositoryDto> {
    const row = found(await this.repositories.find(id), 'repository', id);
    if (mountOptions !== undefined) {
      checkName('options', mountOptions);
      refuseBadOptions({ ...mountWishOf(row), options: mountOptions });
    }
    refusePushUnderLimit('repository', {
      transfer: transfer === undefined ? row.transfer : transfer,
      bandwidth: bandwidth === undefined ? row.bandwidth : bandwidth,
    });
    const change = {
      ...(name === undefined ? {} : { name }),
      ...(mountOptions === undefined ? {} : { mountOpts: mountOptions }),
    };
    await this.repositories.change(row.id, change, { transfer, bandwidth });
    return this.show(row.uuid);
  }

  async remove(id: string): Promise<void> {
    const { id: row } = found(await this.repositories.find(id), 'repository', id);
    await this.repositories.remove(row);
  }

  async #present(row: RepositoryWithWay): Promise<RepositoryDto> {
    return present(row, await spaceOf(this.repositories, row, this.config.engine.spaceWarnPercent));
  }
}

/** @throws UserError `repository.mount-options` with every option that can never work or does harm */
function refuseBadOptions(wish: MountWish): void {
  const refused = judgeMountOptions(wish).filter(({ severity }) => severity === 'error');
  if (refused.length === 0) return;
  const words = refused.map(({ option, why }) => `${option}: ${why}`).join(' ');
  throw new UserError('repository.mount-options', 'invalid', `A repository of type ${wish.type} cannot be mounted so. ${words}`, {
    next: 'docs/repositories.md has options that are safe, with the reasons.',
    facts: { refused: refused satisfies MountAdvice[] },
  });
}

/** Mount options may hold credentials in any of their values, so only their names are ever shown. */
function present(row: RepositoryWithWay, { growthPerDay, fullOn, warning }: RepositorySpace): RepositoryDto {
  const { uuid, name, type, address, mountOpts, transfer, bandwidth, maintenance, usedBytes, capacityBytes } = row;
  return {
    id: uuid,
    name,
    type,
    address,
    mountOptions: mountOptionNames(mountOpts),
    mountAdvice: judgeMountOptions(mountWishOf(row)),
    transfer,
    bandwidth,
    maintenance: saidMaintenance(maintenance),
    usedBytes,
    capacityBytes,
    growthPerDay,
    fullOn,
    spaceWarning: warning,
  };
}
