import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { COPY_NAME, timeName } from '../database/copies/copy-format';
import { exportBooks } from '../database/copies/export-books';
import { BackupRepositories, type RepositoryWithWay } from '../database/repositories/backup-repositories';
import { ChainkeeperError } from '../domain/errors';
import { NasHosts } from '../engine/nas-hosts';
import { mountOf } from '../engine/planner';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';

/** Repositories that a copy is taken to, and hosts that are asked to take it there, one after another. */
const REPOSITORIES = 500;
const HOSTS_TRIED = 3;
const PIECE = 4 * 1024 * 1024;

/**
 * Copies of the books, for the day when their database is lost: here, and in every repository beside the backups that they are about.
 * What is secret in them stays out: a NAS has other readers.
 */
@Injectable()
export class BooksCopies {
  /** The copy that was last taken to each repository. */
  readonly #taken = new Map<string, string>();

  constructor(
    private readonly repositories: BackupRepositories,
    private readonly nasHosts: NasHosts,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Makes a copy where the last one is old enough, and takes it to the repositories that do not have it yet; one in maintenance gets it afterwards. */
  async turn(signal: AbortSignal): Promise<void> {
    const { books } = this.config;
    if (books.copyHours === 0 || (books.kind === 'sqlite' && books.path === ':memory:')) return;
    const name = await this.#newest();
    const { items } = await this.repositories.page({ limit: REPOSITORIES });
    for (const { uuid } of items) {
      if (signal.aborted) return;
      if (this.#taken.get(uuid) === name) continue;
      // Each takes its time, and one may be in maintenance by now.
      const repository = await this.repositories.find(uuid);
      if (repository !== null && repository.maintenance === null) await this.#take(name, repository);
    }
  }

  async #newest(): Promise<string> {
    const { books } = this.config;
    await mkdir(books.copies, { recursive: true, mode: 0o700 });
    const names = (await readdir(books.copies)).filter((name) => COPY_NAME.test(name)).sort();
    const due = `books-${timeName(new Date(Date.now() - books.copyHours * 3_600_000))}.jsonl.gz`;
    const last = names.at(-1);
    if (last !== undefined && last > due) return last;
    const name = `books-${timeName(new Date())}.jsonl.gz`;
    const { rows } = await exportBooks(books, join(books.copies, name), { secrets: false });
    this.log.info({ name, backups: rows['backups'] }, 'the books were copied');
    for (const old of [...names, name].slice(0, -books.copiesKept)) await rm(join(books.copies, old), { force: true });
    return name;
  }

  async #take(name: string, repository: RepositoryWithWay): Promise<void> {
    const file = join(this.config.books.copies, name);
    const sha256 = await hashOf(file);
    const hosts = await this.nasHosts.all();
    for (const host of hosts.slice(0, HOSTS_TRIED)) {
      try {
        const { removed } = await this.client.keep(host, {
          ...{ repository: mountOf(repository), name, sha256, last: this.config.books.copiesKept },
          pieces: createReadStream(file, { highWaterMark: PIECE }),
        });
        this.#taken.set(repository.uuid, name);
        this.log.info(
          { name, repository: repository.name, host: host.name, removed },
          'a copy of the books lies in the repository',
        );
        return;
      } catch (error) {
        if (!(error instanceof ChainkeeperError)) throw error;
        this.log.warn(
          { err: error, name, repository: repository.name, host: host.name },
          'the copy of the books could not be taken there',
        );
      }
    }
    if (hosts.length === 0)
      this.log.warn({ name, repository: repository.name }, 'no host is there to take the copy of the books to it');
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  return hash.digest('hex');
}
