import { Injectable } from '@nestjs/common';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Backups } from '../database/repositories/backups';
import { Vms } from '../database/repositories/vms';
import { checkName } from '../domain/agent/names';
import { readChains } from '../domain/chain/read-chain';
import { writeRunbook } from '../domain/chain/write-runbook';
import { UserError } from '../domain/errors';
import { BookReader } from '../engine/book-reader';
import { mountOf } from '../engine/planner';
import { found } from '../platform/found';
import type { RunbookDto, RunbookQuery } from './dto/runbook.dto';

@Injectable()
export class RunbookService {
  constructor(
    private readonly backups: Backups,
    private readonly vms: Vms,
    private readonly repositories: BackupRepositories,
    private readonly reader: BookReader,
  ) {}

  /** @throws UserError `backup.nothing-there` when it is no restore point, `repository.not-found`, as {@link checkName} for the new name */
  async write(id: string, { to, newName }: RunbookQuery): Promise<RunbookDto> {
    const name = newName === undefined ? null : checkName('vm', newName);
    const row = found(await this.backups.findByUuid(id), 'backup', id);
    const vm = await this.vms.findById(row.vmId);
    const all = (await this.reader.ofVm(row.vmId)).map(({ booked }) => booked);
    const booked = all.find(({ uuid }) => uuid === row.uuid);
    const link = readChains(all)
      .flatMap(({ links }) => links)
      .find(({ backup }) => backup === booked);
    if (booked?.status !== 'BackedUp' || booked.externalId === null || link?.ancestors === null)
      throw new UserError('backup.nothing-there', 'conflict', `Backup ${id} is ${row.status}: nothing to be restored from.`, {
        next: 'chainkeeper backups --vm VM lists the restore points.',
      });
    const repository = found(await this.repositories.find(booked.repositoryId ?? ''), 'repository', booked.repositoryId ?? '');
    const lines = writeRunbook(
      {
        uuid: booked.uuid,
        vm: vm?.instanceName ?? '',
        date: row.date?.toISOString() ?? null,
        externalId: booked.externalId,
        assurance: link?.pointAssurance ?? booked.assurance ?? 'unproven',
        ancestors: (link?.ancestors ?? []).flatMap(({ externalId }) => externalId ?? []),
        disks: booked.disks.flatMap(({ target, file, virtualSize }) => (file === null ? [] : [{ target, file, virtualSize }])),
      },
      mountOf(repository),
      to ?? `/var/tmp/restore-${booked.uuid}`,
      name,
    );
    return { backupId: booked.uuid, lines };
  }
}
