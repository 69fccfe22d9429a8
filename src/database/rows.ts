import type { DataSource, EntityManager, ObjectLiteral } from 'typeorm';

/*
 * Rows of the entities by statements that are written out, for what a run does again and again. TypeORM builds each statement anew, and that
 * takes five to ten times the CPU of sending it (docs/bench.md, engine). What a column is called and how its values are converted is the
 * entities' and the driver's here, too; what people ask now and then stays with TypeORM's own ways.
 */

/** The class of an entity. */
export type EntityClass<T extends ObjectLiteral = ObjectLiteral> = new () => T;

/** What is to be written: values, or SQL expressions as functions that give their text. */
export type Values<T> = { readonly [K in keyof T]?: T[K] | (() => string) | undefined };

/** A condition with `?` for each of its parameters, which are words, numbers and moments as the database has them. */
export type Where = readonly [condition: string, ...parameters: readonly unknown[]];

type ColumnMetadata = ReturnType<DataSource['getMetadata']>['columns'][number];

interface ColumnCodec {
  readonly property: string;
  readonly name: string;
  readonly isKey: boolean;
  /** Null: as the driver gives it. */
  readonly read: ((raw: unknown) => unknown) | null;
  readonly write: (value: unknown) => unknown;
}

interface Table {
  readonly name: string;
  readonly all: ReadonlyMap<string, ColumnCodec>;
  /** Those that are read unless somebody asks for others. */
  readonly listed: readonly ColumnCodec[];
}

const TABLES = new WeakMap<DataSource, Map<unknown, Table>>();

function tableOf(source: DataSource, entity: EntityClass): Table {
  let known = TABLES.get(source);
  if (known === undefined) TABLES.set(source, (known = new Map<unknown, Table>()));
  let table = known.get(entity);
  if (table === undefined) {
    const { tableName, columns } = source.getMetadata(entity);
    const all = new Map(columns.map((column) => [column.propertyName, codecOf(source, column)]));
    const listed = columns.filter(({ isSelect }) => isSelect).flatMap(({ propertyName }) => all.get(propertyName) ?? []);
    known.set(entity, (table = { name: tableName, all, listed }));
  }
  return table;
}

function codecOf({ driver }: DataSource, column: ColumnMetadata): ColumnCodec {
  const isPlain = column.transformer === undefined && ['varchar', 'text', 'integer'].includes(String(column.type));
  return {
    property: column.propertyName,
    name: column.databaseName,
    isKey: column.isPrimary,
    read: isPlain ? null : (raw) => driver.prepareHydratedValue(raw, column) as unknown,
    write: (value) => driver.preparePersistentValue(value, column) as unknown,
  };
}

const isSqlite = (manager: EntityManager): boolean => manager.dataSource.options.type === 'better-sqlite3';

type Entities = Readonly<Record<string, EntityClass>>;

/** A row of each of these entities; null: its left join has found none. */
export type JoinedRow<Own extends Entities, Others extends Entities> = {
  readonly [alias in keyof Own]: InstanceType<Own[alias]>;
} & { readonly [alias in keyof Others]: InstanceType<Others[alias]> | null };

/**
 * Reads rows with what is joined to them.
 * @param own the entity, by the alias that `from` gives to its table; `others`: likewise what is joined
 * @param from all that comes after the columns, with a `?` for each parameter
 */
export async function joinedRows<Own extends Entities, Others extends Entities>(
  manager: EntityManager,
  own: Own,
  others: Others,
  from: string,
  parameters: readonly unknown[] = [],
): Promise<JoinedRow<Own, Others>[]> {
  const tables = Object.entries({ ...own, ...others }).map(
    ([alias, entity]) => [alias, entity, tableOf(manager.dataSource, entity).listed] as const,
  );
  const columns = tables.flatMap(([alias, , listed]) => listed.map(({ name }) => `${alias}.${name} AS ${alias}_${name}`));
  const raws = await manager.query<ObjectLiteral[]>(`SELECT ${columns.join(', ')} ${from}`, [...parameters]);
  return raws.map((raw) => {
    const row: Record<string, unknown> = {};
    for (const [alias, entity, listed] of tables) row[alias] = hydrate(entity, listed, raw, `${alias}_`);
    return row as JoinedRow<Own, Others>;
  });
}

/**
 * Reads rows of one entity; their alias is `own`.
 * @param rest the condition and what comes after it, as `vm_id = ? ORDER BY id`
 * @param only these properties; the others are left out of what is answered
 */
export async function rowsOf<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityClass<T>,
  rest: string,
  parameters: readonly unknown[] = [],
  only?: readonly (keyof T & string)[],
): Promise<T[]> {
  const { name, all, listed } = tableOf(manager.dataSource, entity);
  const columns = only === undefined ? listed : only.flatMap((property) => all.get(property) ?? []);
  const sql = `SELECT ${columns.map((column) => column.name).join(', ')} FROM ${name} own WHERE ${rest}`;
  const raws = await manager.query<ObjectLiteral[]>(sql, [...parameters]);
  return raws.map((raw) => hydrate(entity, columns, raw, '') as T);
}

/** Whether there is such a row. */
export async function hasRow(manager: EntityManager, entity: EntityClass, [condition, ...parameters]: Where): Promise<boolean> {
  const { name } = tableOf(manager.dataSource, entity);
  return (await manager.query<unknown[]>(`SELECT 1 FROM ${name} WHERE ${condition} LIMIT 1`, parameters)).length > 0;
}

/** Adds a row, and answers the number that the database gave it. */
export async function addRow<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityClass<T>,
  row: Values<T>,
): Promise<number> {
  return idOf(await insert(manager, entity, [row]));
}

/** Adds rows. What one of them leaves out and another has is null. */
export async function addRows<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityClass<T>,
  rows: readonly Values<T>[],
): Promise<void> {
  if (rows.length > 0) await insert(manager, entity, rows);
}

/** Changes rows, and answers how many were met. */
export async function changeRows<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityClass<T>,
  change: Values<T>,
  [condition, ...parameters]: Where,
): Promise<number> {
  const table = tableOf(manager.dataSource, entity);
  const written = writtenOf(table, change);
  const sets = written.map(([{ name }, value]) => `${name} = ${value.sql}`);
  const values = written.flatMap(([, value]) => value.parameters);
  // SQLite's driver counts only what is answered.
  const count = isSqlite(manager) ? ' RETURNING 1' : '';
  const sql = `UPDATE ${table.name} SET ${sets.join(', ')} WHERE ${condition}${count}`;
  const answer = await manager.query<unknown[] | { readonly affectedRows: number }>(sql, [...values, ...parameters]);
  return Array.isArray(answer) ? answer.length : answer.affectedRows;
}

/** Adds a row, or changes what is named of the one that has its key already. */
export async function putRow<T extends ObjectLiteral>(
  manager: EntityManager,
  entity: EntityClass<T>,
  key: keyof T & string,
  row: Values<T>,
): Promise<void> {
  const { all } = tableOf(manager.dataSource, entity);
  const names = Object.keys(row).filter((property) => property !== key);
  const columns = names.flatMap((property) => all.get(property)?.name ?? []);
  const sets = (of: (column: string) => string): string => columns.map((column) => `${column} = ${of(column)}`).join(', ');
  const else_ = isSqlite(manager)
    ? `ON CONFLICT (${all.get(key)?.name}) DO UPDATE SET ${sets((column) => `excluded.${column}`)}`
    : `ON DUPLICATE KEY UPDATE ${sets((column) => `VALUES(${column})`)}`;
  await insert(manager, entity, [row], else_);
}

/** As many `?` as there are. */
export const marks = (values: readonly unknown[]): string => (values.length === 0 ? 'NULL' : values.map(() => '?').join(', '));

interface Written {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

const NULL: Written = { sql: 'NULL', parameters: [] };

function written({ write }: ColumnCodec, value: unknown): Written {
  if (typeof value === 'function') return { sql: (value as () => string)(), parameters: [] };
  if (value === null || value === undefined) return NULL;
  return { sql: '?', parameters: [write(value)] };
}

function writtenOf(table: Table, row: ObjectLiteral): (readonly [ColumnCodec, Written])[] {
  return Object.entries(row).flatMap(([property, value]) => {
    if (value === undefined) return [];
    const column = table.all.get(property);
    if (column === undefined) throw new Error(`${table.name} has nothing named ${property}`);
    return [[column, written(column, value)] as const];
  });
}

function insert(manager: EntityManager, entity: EntityClass, rows: readonly ObjectLiteral[], tail = ''): Promise<unknown> {
  const table = tableOf(manager.dataSource, entity);
  const named = rows.map((row) => new Map(writtenOf(table, row)));
  const columns = [...new Set(named.flatMap((row) => [...row.keys()]))];
  const values = named.map((row) => columns.map((column) => row.get(column) ?? NULL));
  const texts = values.map((row) => `(${row.map(({ sql }) => sql).join(', ')})`);
  const sql = `INSERT INTO ${table.name} (${columns.map(({ name }) => name).join(', ')}) VALUES ${texts.join(', ')} ${tail}`;
  return manager.query(
    sql,
    values.flatMap((row) => row.flatMap(({ parameters }) => parameters)),
  );
}

/** A server answers with a packet, SQLite's driver with the number alone. */
function idOf(answer: unknown): number {
  return Number(typeof answer === 'object' && answer !== null ? (answer as { insertId: number }).insertId : answer);
}

function hydrate(entity: EntityClass, columns: readonly ColumnCodec[], raw: ObjectLiteral, prefix: string): ObjectLiteral | null {
  const row = new entity();
  for (const { property, name, isKey, read } of columns) {
    const value = raw[prefix + name] as unknown;
    if (isKey && value === null) return null;
    row[property] = read === null ? value : read(value);
  }
  return row;
}
