import { existsSync } from 'node:fs';
import type { DataSource, QueryRunner } from 'typeorm';
import { InvariantError, UserError } from '../../domain/errors';
import { createDataSource, type DatabaseConfig } from '../data-source';
import { toDatabaseError } from '../database-error';
import { appliedMigrations, tablesOf } from '../migrate';
import type { CopyTable, CopyValue } from './copy-format';

/** Rows read at once: a run's row may hold a megabyte of what its host said. */
const PAGE = 200;

/** The books at one moment, as their tables are: this code may be newer than they are. */
export class Snapshot {
  constructor(
    private readonly dataSource: DataSource,
    private readonly runner: QueryRunner,
  ) {}

  migrations(): Promise<string[]> {
    return appliedMigrations(this.runner);
  }

  async tables(): Promise<CopyTable[]> {
    // Databases differ in how they sort names.
    const names = (await tablesOf(this.dataSource, this.runner)).filter((name) => name !== 'ck_migrations').sort();
    return Promise.all(names.map(async (table) => ({ table, columns: await columnsOf(this.dataSource, this.runner, table) })));
  }

  /** All rows of a table in the order of its key, page by page. */
  async *rows({ table, columns }: CopyTable): AsyncGenerator<CopyValue[][]> {
    const quote = (name: string): string => this.dataSource.driver.escape(name);
    const key = await keyOf(this.dataSource, this.runner, table);
    const select = `SELECT ${columns.map(quote).join(', ')} FROM ${quote(table)}`;
    const order = `ORDER BY ${key.map(quote).join(', ')} LIMIT ${PAGE}`;
    for (let after: CopyValue[] | null = null; ;) {
      const [where, values] = after === null ? ['', []] : beyond(key.map(quote), after);
      const found = (await this.runner.query(`${select} ${where} ${order}`, values)) as Record<string, unknown>[];
      const rows = found.map((row) => columns.map((column) => valueOf(table, column, row[column])));
      if (rows.length > 0) yield rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) return;
      after = key.map((column) => last[columns.indexOf(column)] ?? null);
    }
  }
}

/**
 * Reads the books as they are at one moment, whoever writes meanwhile, and holds nobody up.
 * @throws UserError `books.none`
 */
export async function onSnapshot<T>(config: DatabaseConfig, work: (books: Snapshot) => Promise<T>): Promise<T> {
  const none = new UserError('books.none', 'not-found', 'There are no books to copy.', {
    next: 'CHAINKEEPER_DB_KIND and the settings beside it say where they are: chainkeeper config',
  });
  if (config.kind === 'sqlite' && !existsSync(config.path)) throw none;
  const dataSource = await createDataSource(config);
  try {
    const runner = dataSource.createQueryRunner();
    if (!(await tablesOf(dataSource, runner)).includes('ck_migrations')) throw none;
    // A deferred transaction of SQLite sees what was there when it first read.
    if (config.kind === 'sqlite') await runner.query('BEGIN');
    else {
      await runner.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await runner.query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
    }
    try {
      return await work(new Snapshot(dataSource, runner));
    } finally {
      await runner.query('ROLLBACK');
      await runner.release();
    }
  } catch (error) {
    throw toDatabaseError(error);
  } finally {
    await dataSource.destroy();
  }
}

/** What comes after a row in the order of these columns. The first comparison alone leads the way through the index. */
function beyond(key: readonly string[], after: readonly CopyValue[]): [string, CopyValue[]] {
  const ways = key.map((column, index) => [...key.slice(0, index).map((equal) => `${equal} = ?`), `${column} > ?`].join(' AND '));
  const values = key.flatMap((_, index) => after.slice(0, index + 1));
  return [`WHERE ${key[0]} >= ? AND (${ways.map((way) => `(${way})`).join(' OR ')})`, [after[0] ?? null, ...values]];
}

/** Columns of a table, in its order. */
export async function columnsOf(dataSource: DataSource, runner: QueryRunner, table: string): Promise<string[]> {
  return (await describeTable(dataSource, runner, table)).map(({ name }) => name);
}

async function keyOf(dataSource: DataSource, runner: QueryRunner, table: string): Promise<string[]> {
  const key = (await describeTable(dataSource, runner, table)).filter(({ pk }) => Number(pk) > 0);
  if (key.length === 0) throw new InvariantError('books.no-key', `Table ${table} has no primary key to be read by.`);
  return key.sort((a, b) => Number(a.pk) - Number(b.pk)).map(({ name }) => name);
}

/** `pk` is the place of a column in the primary key, 0 for the others. */
async function describeTable(
  dataSource: DataSource,
  runner: QueryRunner,
  table: string,
): Promise<{ name: string; pk: number }[]> {
  const sqlite = `SELECT name, pk FROM pragma_table_info(?) ORDER BY cid`;
  const server = `SELECT c.column_name AS name, COALESCE(k.ordinal_position, 0) AS pk FROM information_schema.columns c
     LEFT JOIN information_schema.key_column_usage k ON k.table_schema = c.table_schema AND k.table_name = c.table_name
       AND k.column_name = c.column_name AND k.constraint_name = 'PRIMARY'
     WHERE c.table_schema = DATABASE() AND c.table_name = ? ORDER BY c.ordinal_position`;
  const sql = dataSource.options.type === 'better-sqlite3' ? sqlite : server;
  return (await runner.query(sql, [table])) as { name: string; pk: number }[];
}

function valueOf(table: string, column: string, value: unknown): CopyValue {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  if (value instanceof Date) return value.toISOString().replace('T', ' ').slice(0, -1);
  throw new InvariantError(
    'books.unknown-value',
    `Column ${column} of ${table} holds a ${typeof value}, which a copy has no word for.`,
  );
}
