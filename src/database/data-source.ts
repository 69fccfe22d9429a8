import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Pool } from 'mysql2';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { MYSQL_MIGRATIONS } from '../../migrations/mysql-migrations';
import { SQLITE_MIGRATIONS } from '../../migrations/sqlite-migrations';
import { toDatabaseError } from './database-error';
import { detectServer } from './detect-server';
import { ENTITIES } from './entities';
import { SilentLogger } from './silent-logger';
import { SnakeNaming } from './snake-naming';
import { SqliteFile } from './sqlite-driver';

/** An embedded database: one file, one process. `:memory:` is for tests. */
export interface SqliteConfig {
  readonly kind: 'sqlite';
  readonly path: string;
}

/** A database server. `mysql` and `mariadb` mean the same: the server is asked what it is. */
export interface ServerConfig {
  readonly kind: 'mysql' | 'mariadb';
  readonly host: string;
  /** TCP port. */
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Unix socket; instead of host and port. */
  readonly socketPath?: string | undefined;
}

/** Where the books are. */
export type DatabaseConfig = SqliteConfig | ServerConfig;

/** How long SQLite itself waits for another process, in milliseconds. Short: it blocks the event loop; the unit of work tries again. */
const SQLITE_WAIT_MS = 100;
/** How long the first answer of a server may take, in milliseconds. */
const CONNECT_MS = 10_000;
/** How long a transaction may do nothing, in seconds. They talk to the database alone, so none does for long. */
const IDLE_SECONDS = 60;
/** Connections to a server at the same time. */
const POOL = 10;

/**
 * Opens the database; its tables are brought up to date by `migrate`.
 * @throws OperationalError `database.unreachable`, `database.denied`, `database.damaged`
 * @throws UserError `database.too-old`, `database.not-strict`
 */
export async function createDataSource(config: DatabaseConfig): Promise<DataSource> {
  try {
    const options = config.kind === 'sqlite' ? sqliteOptions(config) : await serverOptions(config);
    const dataSource = await new DataSource(options).initialize();
    if (options.type === 'mariadb') await endIdleTransactions(dataSource);
    return dataSource;
  } catch (error) {
    throw toDatabaseError(error);
  }
}

const COMMON = {
  entities: ENTITIES,
  namingStrategy: new SnakeNaming(),
  synchronize: false,
  migrationsTableName: 'ck_migrations',
  migrationsTransactionMode: 'each',
  logger: new SilentLogger(),
} satisfies Partial<DataSourceOptions>;

function sqliteOptions({ path }: SqliteConfig): DataSourceOptions {
  if (path !== ':memory:') makePrivate(path);
  return {
    ...COMMON,
    type: 'better-sqlite3',
    driver: SqliteFile,
    database: path,
    migrations: SQLITE_MIGRATIONS,
    enableWAL: true,
    timeout: SQLITE_WAIT_MS,
    prepareDatabase: (connection: unknown) => {
      const db = connection as SqliteFile;
      db.pragma('synchronous = FULL');
      beginImmediate(db);
    },
  };
}

async function serverOptions(config: ServerConfig): Promise<DataSourceOptions> {
  const { host, port, user, password, database, socketPath } = config;
  const server = { host, port, user, password, database, connectTimeout: CONNECT_MS, ...(socketPath ? { socketPath } : {}) };
  return {
    ...COMMON,
    ...server,
    type: await detectServer(server),
    username: user,
    migrations: MYSQL_MIGRATIONS,
    timezone: 'Z',
    charset: 'utf8mb4',
    // Numbers where they are exact, text where they are not; the columns refuse the text.
    supportBigNumbers: true,
    bigNumberStrings: false,
    poolSize: POOL,
  };
}

/**
 * An orchestrator that stands still in the middle of a transaction, or its machine, holds up everybody who wants the same rows until its
 * connection breaks. MariaDB can end such a transaction by itself; MySQL cannot.
 */
async function endIdleTransactions(dataSource: DataSource): Promise<void> {
  const statement = `SET SESSION idle_transaction_timeout = ${IDLE_SECONDS}`;
  const { pool } = dataSource.driver as unknown as { readonly pool: Pool };
  // Its statement stands in line before that of whoever asked for the connection.
  pool.on('connection', (connection) => void connection.query(statement, () => undefined));
  // The one that is there already.
  await dataSource.query(statement);
}

/**
 * TypeORM begins deferred transactions; one that reads first and writes later fails at once when another process wrote in
 * between, whatever the waiting time. An immediate one waits for its turn at the beginning, where nothing is lost.
 */
function beginImmediate(db: SqliteFile): void {
  const prepare = db.prepare.bind(db);
  db.prepare = (sql) => prepare(sql === 'BEGIN TRANSACTION' ? 'BEGIN IMMEDIATE' : sql);
}

/** The books hold mount options, and those may hold credentials: nobody else may read the file. */
function makePrivate(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}
