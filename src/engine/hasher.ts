import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import { isOfBooks } from '../database/database-error';
import { BackupRepositories, type RepositoryWithWay } from '../database/repositories/backup-repositories';
import { Backups, type BookedBackup } from '../database/repositories/backups';
import { Hosts } from '../database/repositories/hosts';
import { type HashJob, Manifests, type Spoilt } from '../database/repositories/manifests';
import { buildChecksum, secretsOf } from '../domain/agent/build-argv';
import { readChecksum } from '../domain/agent/read-checksum';
import { ChainkeeperError, OperationalError, UserError, wordsOf } from '../domain/errors';
import type { HostAccess } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { redact } from '../hosts/redact';
import { scriptError } from '../hosts/script-error';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { type BackupInBooks, BookReader } from './book-reader';
import { followJob } from './follow-job';
import { NasHosts } from './nas-hosts';
import { mountOf, refuseMaintenance } from './planner';
import { SpoiltFiles } from './spoilt-files';

/** It is about no VM, so no lease can be in its way. */
const NO_FENCE = 0;
/** Looks at a host that does not answer, five seconds apart, before its job is left to the next turn. */
const SILENCES = 60;

/**
 * Has a host read the files of backups back: to write down what they hold, or to compare with that. The job outlives this service, and
 * whoever looks next follows it by its id.
 */
@Injectable()
export class Hasher implements BeforeApplicationShutdown {
  readonly #stop = new AbortController();
  readonly #active = new Map<number, Promise<void>>();

  constructor(
    private readonly backups: Backups,
    private readonly manifests: Manifests,
    private readonly repositories: BackupRepositories,
    private readonly hosts: Hosts,
    private readonly reader: BookReader,
    private readonly nasHosts: NasHosts,
    private readonly spoilt: SpoiltFiles,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Lets go of the jobs that go on. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#active.values());
  }

  /**
   * Writes down that its files are to be read, and lets a host do it.
   * @throws UserError `checksums.active`, `checksums.none`, `repository.maintenance`
   */
  async begin(backupId: number, verifies: boolean): Promise<void> {
    const known = await this.manifests.find(backupId);
    if (verifies && !known?.hashed)
      throw new UserError(
        'checksums.none',
        'conflict',
        'Nobody has taken the checksums yet, so there is nothing to compare with.',
        {
          next: 'Take them first: chainkeeper checksums BACKUP',
        },
      );
    refuseMaintenance(null, await this.#repositoryOf(await this.backups.findById(backupId)));
    const job = await this.manifests.beginHash(backupId, { id: randomUUID(), verifies });
    if (job.verifies !== verifies)
      throw new UserError('checksums.active', 'busy', 'Its files are being read already, for the other purpose.', {
        next: 'Wait for that to end.',
      });
    void this.#drive(backupId, job);
  }

  /**
   * Follows what was begun, by whomever, or begins it, and waits for its end. Not while its repository is in maintenance: a job that goes on
   * there ends by itself, and is looked at afterwards.
   */
  async hash(backupId: number): Promise<void> {
    const repository = await this.#repositoryOf(await this.backups.findById(backupId));
    if (repository !== null && repository.maintenance !== null) return;
    await this.#drive(backupId, await this.manifests.beginHash(backupId, { id: randomUUID(), verifies: false }));
  }

  /** Never rejects: how it went is in the books, or is found out by whoever looks next. */
  #drive(backupId: number, job: HashJob): Promise<void> {
    const driven =
      this.#active.get(backupId) ??
      this.#follow(backupId, job)
        .catch((error: unknown) => {
          if (!this.#stop.signal.aborted)
            this.log.warn({ err: error, backupRow: backupId }, 'reading the files of a backup is left to the next turn');
        })
        .finally(() => this.#active.delete(backupId));
    this.#active.set(backupId, driven);
    return driven;
  }

  async #follow(backupId: number, job: HashJob): Promise<void> {
    const row = await this.backups.findById(backupId);
    const [inBooks] = row === null ? [] : await this.reader.attach([row]);
    const repository = await this.repositories.find(inBooks?.booked.repositoryId ?? '');
    if (row === null || inBooks === undefined || row.externalId === null || repository === null)
      return this.manifests.couldNotHash(backupId, job, 'nobody knows where its files lie');
    const mount = mountOf(repository);
    try {
      const host = this.nasHosts.accessOfOurs(await this.nasHosts.thatLooks(row.vmId));
      const order = { repository: mount, path: row.externalId, verify: job.verifies, mib: this.config.engine.checksumMib };
      await this.client.start(host, { jobId: job.id, fence: NO_FENCE, ...buildChecksum(order) });
      let silences = 0;
      let aborted = false;
      const listener = {
        onStatus: async () => {
          silences = 0;
          if (aborted || !(await this.#isToStop(repository, host))) return;
          aborted = true;
          await this.client.abort(host, job.id);
        },
        onSilence: async (error: ChainkeeperError) => {
          if ((silences += 1) >= SILENCES) throw error;
        },
      };
      const { exit, stdout, stderr } = await followJob(this.client, host, job.id, listener, this.#stop.signal);
      if (exit === null) return await this.manifests.couldNotHash(backupId, job, 'nobody saw how the job ended');
      const reading = readChecksum(stdout);
      if (exit !== 0 || !reading.ok) {
        const said = { stdout, stderr, exit, signal: null, truncated: false };
        throw scriptError(host, 'checksum', said, secretsOf(mount));
      }
      const { differs, there } = reading.value;
      const missing = there === null ? null : filesOf(inBooks).filter((file) => !there.includes(file));
      await this.#tell(inBooks, { damaged: differs ?? [], missing: missing ?? [] });
      await this.manifests.hashed(backupId, job, differs, missing);
    } catch (error) {
      if (!(error instanceof ChainkeeperError) || isOfBooks(error) || isSilence(error)) throw error;
      if (isGone(error)) await this.#tell(inBooks, { damaged: [], missing: allOf(inBooks) });
      await this.manifests.couldNotHash(backupId, job, redact(wordsOf(error), secretsOf(mount)));
      this.log.warn({ err: error, backupId: row.uuid }, 'the files of a backup could not be read back');
    }
  }

  async #tell(inBooks: BackupInBooks, spoilt: Spoilt): Promise<void> {
    const { uuid: backupId, externalId: path, vmId } = inBooks.row;
    if (spoilt.damaged.length + spoilt.missing.length > 0) await this.spoilt.note(inBooks, spoilt, { vmId });
    else this.log.info({ backupId, path }, 'the files of a backup were read back');
  }

  /** Somebody wants all that goes on there to stop, for a maintenance. */
  async #isToStop(repository: RepositoryWithWay, host: HostAccess): Promise<boolean> {
    const places = [await this.repositories.find(repository.uuid), await this.hosts.find(host.name)];
    return places.some((place) => place?.maintenance?.running === 'abort');
  }

  async #repositoryOf(row: BookedBackup | null): Promise<RepositoryWithWay | null> {
    const [inBooks] = row === null ? [] : await this.reader.attach([row]);
    return this.repositories.find(inBooks?.booked.repositoryId ?? '');
  }
}

const filesOf = ({ booked }: BackupInBooks): string[] => booked.disks.flatMap(({ file }) => file ?? []);

/** Where the books know no file, its directory stands for them. */
function allOf(inBooks: BackupInBooks): string[] {
  const files = filesOf(inBooks);
  return files.length > 0 ? files : [posix.basename(inBooks.row.externalId ?? '')];
}

/** The host has looked, and others of the VM lie there. */
const isGone = (error: ChainkeeperError): boolean => ['path-missing', 'file-missing'].includes(String(error.facts['script']));

/** The job goes on, perhaps: nobody could ask. */
const isSilence = (error: ChainkeeperError): boolean => error instanceof OperationalError && error.kind === 'unreachable';
