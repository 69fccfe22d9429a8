import { Inject, Injectable } from '@nestjs/common';
import type { BackupRow } from '../database/entities/backup-row';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { BackupRepositories, type RepositoryWithWay } from '../database/repositories/backup-repositories';
import { Backups } from '../database/repositories/backups';
import { Evidence } from '../database/repositories/evidence';
import type { ReachableHost } from '../database/repositories/hosts';
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

/** What need not be asked for again at the end of a run. */
export interface KnownToRun {
  readonly vm: VmRow;
  /** As it ended. */
  readonly run: RunRow;
  /** What its script said of itself. */
  readonly facts: Facts | null;
  /** The host that it ran on. */
  readonly host: ReachableHost;
  readonly repository: RepositoryWithWay;
  /** The VM's backups, the new one among them. */
  readonly inBooks: readonly BackupInBooks[];
}

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
   * Answers why it could not be done, for people; null: it is done. It may be asked for again.
   * @param ofRun what the run that made it knows at its end; that goes on while its repository is in maintenance
   */
  async describe(backupId: number, ofRun?: KnownToRun): Promise<string | null> {
    const whyNot = await this.#describe(backupId, ofRun).catch((error: unknown) => {
      if (!(error instanceof ChainkeeperError) || isOfBooks(error)) throw error;
      return wordsOf(error);
    });
    await (whyNot === null ? this.manifests.wrote(backupId) : this.manifests.couldNotWrite(backupId, whyNot));
    return whyNot;
  }

  async #describe(backupId: number, ofRun?: KnownToRun): Promise<string | null> {
    const inBooks = ofRun?.inBooks.find(({ row }) => row.id === backupId) ?? (await this.#read(backupId));
    const path = inBooks?.row.externalId ?? null;
    if (inBooks === undefined || path === null) return 'it has no directory';
    const repository = ofRun?.repository ?? (await this.repositories.find(inBooks.booked.repositoryId ?? ''));
    if (repository === null) return 'nobody knows in which repository it lies';
    if (repository.maintenance !== null && ofRun === undefined) return 'its repository is in maintenance';
    const manifest = await this.#manifest(inBooks, ofRun);
    if ('kind' in manifest) return manifest.message;
    const host = this.nasHosts.accessOfOurs(await this.nasHosts.thatLooks(inBooks.row.vmId, ofRun?.host));
    await this.client.describe(host, { repository: mountOf(repository), path, manifest });
    return null;
  }

  async #parent(uuid: string, ofVm: readonly BackupInBooks[]): Promise<BackupRow | null> {
    return ofVm.find(({ row }) => row.uuid === uuid)?.row ?? (await this.backups.findByUuid(uuid));
  }

  async #read(backupId: number): Promise<BackupInBooks | undefined> {
    const row = await this.backups.findById(backupId);
    return row === null ? undefined : (await this.reader.attach([row]))[0];
  }

  async #scriptOf(evidence: BackupInBooks['evidence']): Promise<Facts['script'] | null> {
    const text = evidence === undefined ? null : await this.evidence.verbatim(evidence.id);
    return text === null ? null : (JSON.parse(text) as Facts).script;
  }

  /** What a backup is to say of itself. */
  async #manifest({ row, booked, evidence }: BackupInBooks, ofRun?: KnownToRun): Promise<Manifest | Refusal> {
    const { link } = row;
    const vm = ofRun?.vm ?? (await this.vms.findById(row.vmId));
    const run = ofRun?.run ?? (link?.runId == null ? null : await this.runs.find(link.runId));
    const { keys } = readChainKeys(row.details);
    const parent = keys.parentBackupId === null ? null : await this.#parent(keys.parentBackupId, ofRun?.inBooks ?? []);
    const script = ofRun === undefined ? await this.#scriptOf(evidence) : (ofRun.facts?.script ?? null);
    return writeManifest({
      vm: { id: vm?.uuid ?? null, name: vm?.instanceName ?? '' },
      backup: booked,
      parentPath: parent?.externalId ?? null,
      reason: link?.reason ?? null,
      assuranceAtBirth: link?.assuranceAtBirth ?? null,
      times: { began: run?.started?.toISOString() ?? null, ended: (run?.ended ?? row.date)?.toISOString() ?? null },
      measured: evidence === undefined ? null : { host: evidence.hostName, script, disks: evidence.disks },
      service: VERSION,
    });
  }
}
