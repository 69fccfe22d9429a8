import type { ColumnOptions } from 'typeorm';
import { InvariantError } from '../domain/errors';

/** 8 PiB is enough for a backup; a number that JavaScript would round is refused, not stored. */
function safe(value: unknown): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvariantError(
    'database.unsafe-integer',
    `${JSON.stringify(value)} is not an integer from 0 to ${Number.MAX_SAFE_INTEGER}; the database would round it.`,
  );
}

/** `datetime` without a fraction: MySQL rounds, MariaDB cuts off, SQLite keeps it. Cut it off before any of them sees it. */
function wholeSeconds(value: unknown): unknown {
  return value instanceof Date ? new Date(Math.floor(value.getTime() / 1000) * 1000) : value;
}

/*
 * The portable subset of TypeORM's column types, one name per kind of value. The entities only tell TypeORM how to
 * read and write; the real types, lengths and defaults are in the migrations.
 */

/** A short text. */
export const WORD = { type: 'varchar' } satisfies ColumnOptions;
/** A long text. */
export const TEXT = { type: 'text' } satisfies ColumnOptions;
/** Yes or no. */
export const FLAG = { type: 'boolean' } satisfies ColumnOptions;
/** A small number that may be negative, such as an exit code. */
export const NUMBER = { type: 'integer' } satisfies ColumnOptions;
/** An id, a count or a number of bytes: never negative, never rounded. */
export const COUNT = { type: 'bigint', transformer: { to: safe, from: safe } } satisfies ColumnOptions;
/** A moment in UTC, to the second: the `datetime` of CloudStack's tables. */
export const SECOND = {
  type: 'datetime',
  transformer: { to: wholeSeconds, from: (value: unknown) => value },
} satisfies ColumnOptions;
/** A moment in UTC, to the millisecond. */
export const MOMENT = { type: 'datetime', precision: 3 } satisfies ColumnOptions;
/** Anything JSON can say, kept as text. */
export const JSON_TEXT = { type: 'simple-json' } satisfies ColumnOptions;
/** Large text that lists do not load; ask for it by name. */
export const LOG_TEXT = { type: 'text', select: false } satisfies ColumnOptions;
