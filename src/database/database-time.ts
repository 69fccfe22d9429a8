import type { EntityManager } from 'typeorm';

const isSqlite = (manager: EntityManager): boolean => manager.dataSource.options.type === 'better-sqlite3';

/*
 * Leases and the order of runs hang on one clock: the database's. Hosts and orchestrators may disagree about the time.
 * These are SQL expressions; the text compares and reads back like what TypeORM writes for a Date.
 */

/** Now in UTC, to the millisecond. */
export function now(manager: EntityManager): string {
  return isSqlite(manager) ? `strftime('%Y-%m-%d %H:%M:%f', 'now')` : 'UTC_TIMESTAMP(3)';
}

/** A moment as a statement of our own reads it: a server's driver makes a Date of it, SQLite has the text that is written here. */
export type RawMoment = Date | string;

export const momentOf = (raw: RawMoment): Date => (raw instanceof Date ? raw : new Date(`${raw.replace(' ', 'T')}Z`));

/** Now in UTC, to the second, for CloudStack's `datetime` columns. */
export function nowToTheSecond(manager: EntityManager): string {
  return isSqlite(manager) ? `strftime('%Y-%m-%d %H:%M:%S.000', 'now')` : 'UTC_TIMESTAMP()';
}

/** Now plus milliseconds (an integer, not from outside). */
export function nowPlus(manager: EntityManager, ms: number): string {
  const whole = Math.round(ms);
  return isSqlite(manager)
    ? `strftime('%Y-%m-%d %H:%M:%f', 'now', '${whole >= 0 ? '+' : ''}${(whole / 1000).toFixed(3)} seconds')`
    : `UTC_TIMESTAMP(3) + INTERVAL ${whole * 1000} MICROSECOND`;
}
