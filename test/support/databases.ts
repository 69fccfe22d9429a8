import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { createDataSource, type DatabaseConfig } from '../../src/database/data-source';
import { migrate } from '../../src/database/migrate';
import { UnitOfWork } from '../../src/database/unit-of-work';
import { startMariadb, type Mariadb } from './mariadb';

/** A fresh, migrated database. */
export interface Books {
  readonly config: DatabaseConfig;
  readonly dataSource: DataSource;
  readonly work: UnitOfWork;
}

/** What a test body gets: fresh databases of one kind, closed and removed after the tests. */
export interface Databases {
  readonly kind: 'sqlite' | 'mariadb';
  /** An empty database that nobody has opened. */
  fresh(): Promise<DatabaseConfig>;
  /** A migrated one. */
  open(): Promise<Books>;
  /** A second process's view of one: its own connection to the same database. */
  reopen(config: DatabaseConfig): Promise<Books>;
  /** The server that the databases are on, for tests that take it away. @throws where there is none. */
  server(): Mariadb;
}

/** One body, every database: what holds on one must hold on the other. Name the kinds only for what the others do not have. */
export function describeDatabases(
  name: string,
  body: (databases: Databases) => void,
  kinds: readonly Databases['kind'][] = ['sqlite', 'mariadb'],
): void {
  for (const kind of kinds) describe(`${name}, on ${kind}`, () => body(databases(kind)));
}

function databases(kind: 'sqlite' | 'mariadb'): Databases {
  const opened: DataSource[] = [];
  let folder: string;
  let server: Mariadb | undefined;
  let files = 0;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ck-books-'));
    if (kind === 'mariadb') server = await startMariadb();
  }, 60_000);
  afterAll(async () => {
    await Promise.all(opened.filter((source) => source.isInitialized).map((source) => source.destroy()));
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const fresh = (): Promise<DatabaseConfig> => {
    files += 1;
    return server ? server.newDatabase() : Promise.resolve({ kind: 'sqlite', path: join(folder, `books-${files}.sqlite`) });
  };
  const reopen = async (config: DatabaseConfig): Promise<Books> => {
    const dataSource = await createDataSource(config);
    opened.push(dataSource);
    await migrate(dataSource);
    return { config, dataSource, work: new UnitOfWork(dataSource) };
  };
  const theServer = (): Mariadb => {
    if (!server) throw new Error(`no server runs for ${kind}`);
    return server;
  };
  return { kind, fresh, reopen, open: async () => reopen(await fresh()), server: theServer };
}
