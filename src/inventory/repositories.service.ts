import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BackupRepositories, type RepositoryWithWay } from '../database/repositories/backup-repositories';
import { checkName, isName } from '../domain/agent/names';
import { UserError } from '../domain/errors';
import { found } from '../platform/found';
import { type Page, type PageQuery, toPage, toPart } from '../platform/page';
import type { CreateRepositoryDto, RepositoryDto, UpdateRepositoryDto } from './dto/repository.dto';

@Injectable()
export class RepositoriesService {
  constructor(private readonly repositories: BackupRepositories) {}

  async create({ name, type, address, mountOptions = '', transfer }: CreateRepositoryDto): Promise<RepositoryDto> {
    checkName('mount', type);
    checkName('address', address);
    checkName('options', mountOptions);
    if (type === 'dir' && !isName('disk', address))
      throw new UserError(
        'repository.address',
        'invalid',
        `A repository of type dir needs an absolute path, not ${JSON.stringify(address)}.`,
      );
    const repository = { uuid: randomUUID(), name, type, address, mountOpts: mountOptions };
    return present(await this.repositories.create(repository, transfer ?? null));
  }

  async list(query: PageQuery): Promise<Page<RepositoryDto>> {
    return toPage(await this.repositories.page(toPart(query)), present);
  }

  async show(id: string): Promise<RepositoryDto> {
    return present(found(await this.repositories.find(id), 'repository', id));
  }

  async update(id: string, { name, mountOptions, transfer }: UpdateRepositoryDto): Promise<RepositoryDto> {
    const row = found(await this.repositories.find(id), 'repository', id);
    if (mountOptions !== undefined) checkName('options', mountOptions);
    const change = {
      ...(name === undefined ? {} : { name }),
      ...(mountOptions === undefined ? {} : { mountOpts: mountOptions }),
    };
    await this.repositories.change(row.id, change, transfer);
    return this.show(row.uuid);
  }

  async remove(id: string): Promise<void> {
    const { id: row } = found(await this.repositories.find(id), 'repository', id);
    await this.repositories.remove(row);
  }
}

/** Mount options may hold credentials in any of their values, so only their names are ever shown. */
const present = ({
  uuid,
  name,
  type,
  address,
  mountOpts,
  transfer,
  usedBytes,
  capacityBytes,
}: RepositoryWithWay): RepositoryDto => ({
  id: uuid,
  name,
  type,
  address,
  mountOptions: mountOpts
    .split(',')
    .filter(Boolean)
    .map((option) => option.split('=', 1)[0] ?? ''),
  transfer,
  usedBytes,
  capacityBytes,
});
