import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Offerings, type OfferingWithDetails } from '../database/repositories/offerings';
import { found } from '../platform/found';
import { type Page, type PageQuery, toPage, toPart } from '../platform/page';
import type { CreateOfferingDto, OfferingDto, UpdateOfferingDto } from './dto/offering.dto';
import { DEFAULT_POLICY, readPolicy, toSettings } from './offering-policy';
import { refusePushUnderLimit } from './refuse-push-under-limit';

@Injectable()
export class OfferingsService {
  constructor(
    private readonly offerings: Offerings,
    private readonly repositories: BackupRepositories,
  ) {}

  async create({ name, repository, description, ...policy }: CreateOfferingDto): Promise<OfferingDto> {
    refusePushUnderLimit('offering', { ...DEFAULT_POLICY, ...policy });
    const { uuid: externalId } = found(await this.repositories.find(repository), 'repository', repository);
    const offering = { uuid: randomUUID(), name, description: description ?? '', externalId };
    return this.#present(await this.offerings.create(offering, toSettings(policy)));
  }

  async list(query: PageQuery): Promise<Page<OfferingDto>> {
    const { items, next } = await this.offerings.page(toPart(query));
    return toPage({ items: await Promise.all(items.map((row) => this.#present(row))), next }, (offering) => offering);
  }

  async show(id: string): Promise<OfferingDto> {
    return this.#present(found(await this.offerings.find(id), 'offering', id));
  }

  async update(id: string, { name, description, repository, ...policy }: UpdateOfferingDto): Promise<OfferingDto> {
    const row = found(await this.offerings.find(id), 'offering', id);
    refusePushUnderLimit('offering', { ...readPolicy(row.details), ...policy });
    const target = repository && found(await this.repositories.find(repository), 'repository', repository);
    const change = {
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
      ...(target ? { externalId: target.uuid } : {}),
    };
    await this.offerings.change(row.id, change, toSettings(policy));
    return this.show(row.uuid);
  }

  async remove(id: string): Promise<void> {
    const { id: row } = found(await this.offerings.find(id), 'offering', id);
    await this.offerings.remove(row);
  }

  async #present({ uuid, name, description, externalId, details }: OfferingWithDetails): Promise<OfferingDto> {
    const repository = externalId === null ? null : await this.repositories.find(externalId);
    return {
      id: uuid,
      name,
      description: description ?? '',
      repositoryId: externalId ?? '',
      repository: repository?.name ?? null,
      ...readPolicy(details),
    };
  }
}
