import type { DataSource, QueryRunner } from 'typeorm';
import { NOT_COMPARED_KEY } from '../../domain/chain/chain-keys';
import { UserError } from '../../domain/errors';
import { createDataSource, type DatabaseConfig } from '../data-source';
import { toDatabaseError } from '../database-error';
import { appliedMigrations, migrate, tablesOf } from '../migrate';
import { takeServeLock } from '../serve-lock';
import type { CopyHead } from './copy-format';
import { type CopyRows, type OpenCopy, readCopy } from './read-copy';
import { columnsOf } from './snapshot';

/** What was brought back. */
export interface Imported extends CopyHead {
  /** By table. */
  readonly rows: Readonly<Record<string, number>>;
  /** Runs that had not begun when the copy was made: they are cancelled. */
  readonly cancelled: number;
  /** VMs of whose backups nothing is deleted until somebody has compared them with the NAS. */
  readonly notCompared: number;
}

/**
 * Brings the books back from a copy, whatever database it was made of, into one that is empty: all of it or nothing. Tables of an older
 * version are brought up to date afterwards.
 * @throws UserError `books.unreadable`, `books.not-empty`, `books.newer`, `books.other-version`, `database.in-use`
 */
export async function importBooks(config: DatabaseConfig, file: string): Promise<Imported> {
  await readToItsEnd(file);
  const copy = await readCopy(file);
  const lock = config.kind === 'sqlite' ? takeServeLock(config.path) : undefined;
  try {
    const dataSource = await createDataSource(config);
    try {
      await prepare(dataSource, copy.head);
      const counts = await inOneTransaction(dataSource, (runner) => fill(dataSource, runner, copy, file));
      await migrate(dataSource);
      return { ...copy.head, ...counts };
    } finally {
      await dataSource.destroy();
    }
  } catch (error) {
    throw toDatabaseError(error);
  } finally {
    lock?.release();
  }
}

/** Before the database is touched: the checksum of a file stands at its end, and what is spoilt before that may still look like rows. */
async function readToItsEnd(file: string): Promise<void> {
  const copy = await readCopy(file);
  for await (const part of copy.rows()) void part;
}

/** Makes the tables as they were where the copy was made. Nothing is changed where somebody has books already. */
async function prepare(dataSource: DataSource, { migrations }: CopyHead): Promise<void> {
  const known = dataSource.migrations.map((migration) => migration.name ?? migration.constructor.name);
  const stranger = migrations.find((name) => !known.includes(name));
  if (stranger !== undefined)
    throw new UserError('books.newer', 'refused', `The copy was made by a newer version (${stranger}).`, {
      next: 'Use that version, or an older copy.',
    });
  const runner = dataSource.createQueryRunner();
  try {
    const tables = await tablesOf(dataSource, runner);
    const applied = tables.includes('ck_migrations') ? await appliedMigrations(runner) : [];
    for (const table of tables.filter((name) => name !== 'ck_migrations')) {
      const rows = (await runner.query(`SELECT 1 FROM ${dataSource.driver.escape(table)} LIMIT 1`)) as unknown[];
      if (rows.length === 0) continue;
      throw new UserError('books.not-empty', 'conflict', `There are books already: table ${table} has rows.`, {
        next: 'Bring the copy into a database that is empty; nothing was changed.',
      });
    }
    if (applied.some((name) => !migrations.includes(name)))
      throw new UserError('books.other-version', 'conflict', 'The database has tables of a newer version than the copy.', {
        next: 'Give it a database without any tables (for SQLite: another file): the copy brings its own and they are brought up to date.',
      });
  } finally {
    await runner.release();
  }
  await migrate(dataSource, { upTo: migrations });
}

async function inOneTransaction<T>(dataSource: DataSource, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
  const isFile = dataSource.options.type === 'better-sqlite3';
  const runner = dataSource.createQueryRunner();
  // Tables come in the order of their names, not of what points where.
  const checks = (on: boolean): Promise<unknown> =>
    runner.query(isFile ? `PRAGMA foreign_keys = ${on ? 'ON' : 'OFF'}` : `SET FOREIGN_KEY_CHECKS = ${on ? 1 : 0}`);
  await checks(false);
  try {
    await runner.startTransaction();
    try {
      const done = await work(runner);
      await runner.commitTransaction();
      return done;
    } catch (error) {
      await runner.rollbackTransaction();
      throw error;
    }
  } finally {
    await checks(true);
    await runner.release();
  }
}

async function fill(
  dataSource: DataSource,
  runner: QueryRunner,
  copy: OpenCopy,
  file: string,
): Promise<Pick<Imported, 'rows' | 'cancelled' | 'notCompared'>> {
  const tables = new Set(await tablesOf(dataSource, runner));
  const columns = new Map<string, ReadonlySet<string>>();
  const counts: Record<string, number> = {};
  for await (const part of copy.rows()) {
    const { table } = part;
    if (!tables.has(table) || table === 'ck_migrations') throw strange(file, `table ${table}`);
    if (!columns.has(table)) columns.set(table, new Set(await columnsOf(dataSource, runner, table)));
    const unknown = part.columns.find((column) => !columns.get(table)?.has(column));
    if (unknown !== undefined) throw strange(file, `column ${unknown} of ${table}`);
    if (part.rows.length > 0) await insert(dataSource, runner, part);
    counts[table] = (counts[table] ?? 0) + part.rows.length;
  }
  const notCompared = await doubt(dataSource, runner, copy.head.made);
  return { rows: counts, cancelled: await wakeUp(dataSource, runner), notCompared };
}

const strange = (file: string, what: string): UserError =>
  new UserError('books.unreadable', 'invalid', `${file} is no copy of the books: nobody knows ${what}.`, {
    next: 'Take another copy; nothing was changed.',
  });

async function insert(dataSource: DataSource, runner: QueryRunner, { table, columns, rows }: CopyRows): Promise<void> {
  const quote = (name: string): string => dataSource.driver.escape(name);
  const places = `(${columns.map(() => '?').join(', ')})`;
  const sql = `INSERT INTO ${quote(table)} (${columns.map(quote).join(', ')}) VALUES ${rows.map(() => places).join(', ')}`;
  await runner.query(sql, rows.flat());
}

/**
 * What was taken after the copy lies on the NAS alone, and may stand on backups that nothing seems to stand on. So each VM with backups is
 * marked; a mark of an earlier copy stays, for what was taken after that was not looked at either. How many are marked.
 */
async function doubt(dataSource: DataSource, runner: QueryRunner, made: string): Promise<number> {
  const quote = (name: string): string => dataSource.driver.escape(name);
  const columns = ['vm_id', 'name', 'value', 'display'].map(quote).join(', ');
  await runner.query(
    `INSERT INTO vm_instance_details (${columns}) SELECT DISTINCT vm_id, ?, ?, 0 FROM backups WHERE removed IS NULL
     AND vm_id NOT IN (SELECT vm_id FROM vm_instance_details WHERE name = ?)`,
    [NOT_COMPARED_KEY, made, NOT_COMPARED_KEY],
  );
  const marked = `SELECT COUNT(DISTINCT vm_id) AS n FROM vm_instance_details WHERE name = ?`;
  const [found] = (await runner.query(marked, [NOT_COMPARED_KEY])) as { n: number | string }[];
  return Number(found?.n ?? 0);
}

const NOT_BEGUN = `state = 'queued' OR (state IN ('running', 'unknown') AND plan IS NULL)`;

/**
 * Time has passed since the copy. Nobody holds a lease any more, and hosts may have seen higher epochs: no VM has a run every second, so
 * the present one is above all. A run that had no plan may have been done since under the same id: it is not begun again.
 */
async function wakeUp(dataSource: DataSource, runner: QueryRunner): Promise<number> {
  const isFile = dataSource.options.type === 'better-sqlite3';
  const seconds = Math.floor(Date.now() / 1000);
  await runner.query(
    `UPDATE ck_vm_leases SET run_id = NULL, owner = NULL, lease_until = NULL, epoch = CASE WHEN epoch < ? THEN ? ELSE epoch END`,
    [seconds, seconds],
  );
  const [found] = (await runner.query(`SELECT COUNT(*) AS n FROM ck_runs WHERE ${NOT_BEGUN}`)) as { n: number | string }[];
  const now = isFile ? `strftime('%Y-%m-%d %H:%M:%f', 'now')` : 'UTC_TIMESTAMP(3)';
  const why = 'The books were brought back from a copy that was made before it began.';
  await runner.query(
    `UPDATE ck_runs SET state = 'cancelled', error_code = 'run.cancelled', error_message = ?, ended = ${now} WHERE ${NOT_BEGUN}`,
    [why],
  );
  return Number(found?.n ?? 0);
}
