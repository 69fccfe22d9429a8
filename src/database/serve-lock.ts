import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../domain/errors';
import { isBusy, toDatabaseError } from './database-error';
import { SqliteFile } from './sqlite-driver';

/** What is held while this process is the one that serves a file. */
export interface ServeLock {
  /** Lets the next process in. Also happens when this process dies, however it dies. */
  release(): void;
}

/**
 * Keeps a second process off a SQLite file: two of them would each take turns with themselves only. The lock is a second,
 * tiny SQLite file with an open write transaction: the kernel gives it back when the process ends, so none is ever stale,
 * and readers still see who holds it.
 * @throws UserError `database.in-use`, naming the process
 */
export function takeServeLock(databasePath: string): ServeLock {
  const db = new SqliteFile(`${sameForAll(databasePath)}.lock`, { timeout: 0 });
  try {
    db.exec('BEGIN IMMEDIATE');
    db.exec('CREATE TABLE IF NOT EXISTS holder (pid integer, host text, since text)');
    db.exec('DELETE FROM holder');
    db.prepare('INSERT INTO holder VALUES (?, ?, ?)').run(process.pid, hostname(), new Date().toISOString());
    db.exec('COMMIT');
    db.exec('BEGIN IMMEDIATE');
    return { release: () => void db.close() };
  } catch (error) {
    const known = toDatabaseError(error);
    const holder = isBusy(known) ? readHolder(db) : undefined;
    db.close();
    if (!isBusy(known)) throw known;
    throw new UserError('database.in-use', 'busy', `The database ${databasePath} is in use by ${holder ?? 'another process'}.`, {
      next: 'Talk to that service through its API, or stop it first.',
    });
  }
}

function readHolder(db: SqliteFile): string | undefined {
  try {
    const row = db.prepare('SELECT pid, host, since FROM holder').get() as
      { pid: number; host: string; since: string } | undefined;
    return row && `process ${row.pid} on ${row.host} since ${row.since}`;
  } catch {
    // The holder is just writing its name; that somebody holds it is known all the same.
    return undefined;
  }
}

/** Two paths to one file must meet at one lock. */
function sameForAll(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  return join(realpathSync(dirname(path)), basename(path));
}
