import { Injectable } from '@nestjs/common';
import { Backups, type BookedBackup } from '../database/repositories/backups';
import { Manifests } from '../database/repositories/manifests';
import { UserError } from '../domain/errors';
import { Hasher } from '../engine/hasher';
import { found } from '../platform/found';
import type { ChecksumsDto } from './dto/checksums.dto';

@Injectable()
export class ChecksumsService {
  constructor(
    private readonly backups: Backups,
    private readonly manifests: Manifests,
    private readonly hasher: Hasher,
  ) {}

  async show(id: string): Promise<ChecksumsDto> {
    const { id: row, uuid } = await this.#find(id);
    const known = await this.manifests.find(row);
    return {
      backupId: uuid,
      manifest: known?.written?.toISOString() ?? null,
      hashed: known?.hashed?.toISOString() ?? null,
      verified: known?.verified?.toISOString() ?? null,
      damaged: [...(known?.damaged ?? [])],
      missing: [...(known?.missing ?? [])],
      reading: known?.hashJob == null ? null : known.hashVerifies ? 'verify' : 'hash',
      whyNot: known?.hashWhyNot ?? null,
    };
  }

  /** @throws UserError `backup.nothing-there`, `checksums.none`, `checksums.active`, `repository.maintenance` */
  async take(id: string, verify: boolean): Promise<ChecksumsDto> {
    const { id: row, status, removed } = await this.#find(id);
    // What is hidden carries others.
    if (removed !== null || (status !== 'BackedUp' && status !== 'Hidden'))
      throw new UserError('backup.nothing-there', 'conflict', `Backup ${id} is ${status}: it has no files to be read.`);
    await this.hasher.begin(row, verify);
    return this.show(id);
  }

  async #find(id: string): Promise<BookedBackup> {
    return found(await this.backups.findByUuid(id), 'backup', id);
  }
}
