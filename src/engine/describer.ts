import { Inject, Injectable } from '@nestjs/common';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Backups } from '../database/repositories/backups';
import { Evidence } from '../database/repositories/evidence';
import { Manifests } from '../database/repositories/manifests';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { isOfBooks } from '../database/database-error';
import type { Facts } from '../domain/agent/facts';
import { readChainKeys } from '../domain/chain/chain-keys';
import type { Refusal } from '../domain/chain/refusal';
import { type Manifest, writeManifest } from '../domain/chain/write-manifest';
import { ChainkeeperError, wordsOf } from '../domain/errors';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { VERSION } from '../platform/version';
import { BookReader, type BackupInBooks } from './book-reader';
import { NasHosts } from './nas-hosts';
import { mountOf } from './planner';

/** Has a host write down, beside the files of a booked backup, what they are. */
@Injectable()
export class Describer {
  constructor(
    private readonly backups: Backups,
    private readonly manifests: Manifests,
    private readonly repositories: BackupRepositories,
    private readonly evidence: Evidence,
    private readonly runs: Runs,
    private readonly vms: Vms,
    private readonly reader: BookReader,
    private readonly nasHosts: NasHosts,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
  ) {}

  /**
   * Answers why it could not be done, for people; null: it is done. It may be asked for again. `ofRun`: it is the end of its run, which goes on
   * while its repository is in maintenance.
   */
  async describe(backupId: number, ofRun = false): Promise<string | null> {
    const whyNot = await this.#describe(backupId, ofRun).catch((error: unknown) => {
      if (!(error instanceof ChainkeeperError) || isOfBooks(error)) throw error;
      return wordsOf(error);
    });
    await (whyNot === null ? this.manifests.wrote(backupId) : this.manifests.couldNotWrite(backupId, whyNot));
    return whyNot;
  }

  async #describe(backupId: number, ofRun: boolean): Promise<string | null> {
    const row = await this.backups.findById(backupId);
    const [inBooks] = row === null ? [] : await this.reader.attach([row]);
    const path = row?.externalId ?? null;
    if (row === null || inBooks === undefined || path === null) return 'it has no directory';
    const repository = await this.repositories.find(inBooks.booked.repositoryId ?? '');
    if (repository === null) return 'nobody knows in which repository it lies';
    if (repository.maintenance !== null && !ofRun) return 'its repository is in maintenance';
    const manifest = await this.manifest(inBooks);
    if ('kind' in manifest) return manifest.message;
    const host = this.nasHosts.accessOfOurs(await this.nasHosts.thatLooks(row.vmId));
    await this.client.describe(host, { repository: mountOf(repository), path, manifest });
    return null;
  }

  /** What a backup is to say of itself. */
  async manifest({ row, booked, link, evidence }: BackupInBooks): Promise<Manifest | Refusal> {
    const vm = await this.vms.findById(row.vmId);
    const run = link?.runId == null ? null : await this.runs.find(link.runId);
    const { keys } = readChainKeys(row.details);
    const parent = keys.parentBackupId === null ? null : await this.backups.findByUuid(keys.parentBackupId);
    const text = evidence === undefined ? null : await this.evidence.verbatim(evidence.id);
    return writeManifest({
      vm: { id: vm?.uuid ?? null, name: vm?.instanceName ?? '' },
      backup: booked,
      parentPath: parent?.externalId ?? null,
      reason: link?.reason ?? null,
      assuranceAtBirth: link?.assuranceAtBirth ?? null,
      times: { began: run?.started?.toISOString() ?? null, ended: (run?.ended ?? row.date)?.toISOString() ?? null },
      measured:
        evidence === undefined
          ? null
          : { host: evidence.hostName, script: text === null ? null : (JSON.parse(text) as Facts).script, disks: evidence.disks },
      service: VERSION,
    });
  }
}
