import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, MigrationInterface, QueryRunner } from 'typeorm';
import { ChainkeeperError, OperationalError, UserError } from '../domain/errors';
import { isBusy, toDatabaseError } from './database-error';

/** How long to wait for another process that is migrating, in seconds. */
const WAIT_SECONDS = 60;
const TABLE = 'ck_migrations';

/** How far, and what is to be done before. */
export interface MigrateOptions {
  /** Names of the migrations to stop at; default: all. */
  readonly upTo?: readonly string[];
  /** Called before tables that are there are changed, while no other process changes them. */
  readonly before?: () => Promise<void>;
}

/**
 * Brings the tables up to date, one process at a time, and returns the names of the migrations that ran.
 * @throws UserError `database.foreign` when the tables there are not ours, `database.newer` when a newer version made them
 * @throws OperationalError `database.busy` when another process holds the lock for too long, `database.migration` when a step fails
 */
export async function migrate(dataSource: DataSource, options: MigrateOptions = {}): Promise<string[]> {
  const { migrations } = dataSource;
  const wanted = migrations.filter((migration) => options.upTo?.includes(nameOf(migration)) ?? true);
  try {
    Object.assign(dataSource, { migrations: wanted });
    return await (dataSource.options.type === 'better-sqlite3' ? migrateFile : migrateServer)(dataSource, options);
  } catch (error) {
    const known = toDatabaseError(error);
    if (known instanceof ChainkeeperError && known.family !== 'invariant') throw known;
    throw new OperationalError('database.migration', 'failed', 'The tables could not be brought up to date.', { cause: known });
  } finally {
    Object.assign(dataSource, { migrations });
  }
}

/** A file: one transaction around all steps, so that a failure leaves the file as it was. */
async function migrateFile(dataSource: DataSource, options: MigrateOptions): Promise<string[]> {
  const runner = dataSource.createQueryRunner();
  // A step that rebuilds a table must not cascade; what it left is checked before the commit.
  await runner.query('PRAGMA foreign_keys = OFF');
  try {
    await begin(runner);
    try {
      const names = await runPending(dataSource, runner, options);
      const dangling = (await runner.query('PRAGMA foreign_key_check')) as unknown[];
      if (dangling.length > 0)
        throw new OperationalError('database.migration', 'failed', `${dangling.length} rows point at rows that are not there.`);
      await runner.commitTransaction();
      return names;
    } catch (error) {
      await runner.rollbackTransaction();
      throw error;
    }
  } finally {
    await runner.query('PRAGMA foreign_keys = ON');
  }
}

async function begin(runner: QueryRunner): Promise<void> {
  const deadline = Date.now() + WAIT_SECONDS * 1000;
  for (;;) {
    try {
      return await runner.startTransaction();
    } catch (error) {
      const known = toDatabaseError(error);
      if (!isBusy(known) || Date.now() > deadline) throw known;
      await sleep(100);
    }
  }
}

/** A server: statements that make tables commit at once, so a named lock stands in for the transaction. */
async function migrateServer(dataSource: DataSource, options: MigrateOptions): Promise<string[]> {
  const runner = dataSource.createQueryRunner();
  // Lock names are the server's, not the database's, and at most 64 characters.
  const lock = `ck.migrate.${createHash('sha256').update(String(dataSource.options.database)).digest('hex').slice(0, 40)}`;
  try {
    const [answer] = (await runner.query('SELECT GET_LOCK(?, ?) AS got', [lock, WAIT_SECONDS])) as { got: number | null }[];
    if (Number(answer?.got) !== 1)
      throw new OperationalError('database.busy', 'busy', 'Another process is bringing the tables up to date.');
    try {
      return await runPending(dataSource, runner, options);
    } finally {
      await runner.query('SELECT RELEASE_LOCK(?)', [lock]);
    }
  } finally {
    await runner.release();
  }
}

async function runPending(dataSource: DataSource, runner: QueryRunner, { before }: MigrateOptions): Promise<string[]> {
  const applied = await refuseStrangers(dataSource, runner);
  if (applied.length > 0 && applied.length < dataSource.migrations.length) await before?.();
  const done = await dataSource.runMigrations();
  return done.map(({ name }) => name);
}

/** CloudStack's own database has tables of the same names: it is never touched, however the service was configured. Answers what was done. */
async function refuseStrangers(dataSource: DataSource, runner: QueryRunner): Promise<string[]> {
  const tables = await tablesOf(dataSource, runner);
  if (!tables.includes(TABLE)) {
    if (tables.length === 0) return [];
    throw new UserError(
      'database.foreign',
      'refused',
      `The database has tables that Chainkeeper did not make, ${tables[0]} for one.`,
      {
        next: 'Give Chainkeeper an empty database of its own.',
      },
    );
  }
  const applied = await appliedMigrations(runner);
  const known = new Set(dataSource.migrations.map(nameOf));
  const stranger = applied.find((name) => !known.has(name));
  if (stranger !== undefined)
    throw new UserError('database.newer', 'refused', `The tables were made by a newer version (${stranger}).`, {
      next: 'Run that version, or restore a copy of the database from before the upgrade.',
    });
  return applied;
}

const nameOf = (migration: MigrationInterface): string => migration.name ?? migration.constructor.name;

/** Names of what has been done, in order. */
export async function appliedMigrations(runner: QueryRunner): Promise<string[]> {
  return ((await runner.query(`SELECT name FROM ${TABLE} ORDER BY id`)) as { name: string }[]).map(({ name }) => name);
}

/** Names of all tables. */
export async function tablesOf(dataSource: DataSource, runner: QueryRunner): Promise<string[]> {
  const sql =
    dataSource.options.type === 'better-sqlite3'
      ? `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
      : `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name`;
  return ((await runner.query(sql)) as { name: string }[]).map(({ name }) => name);
}
