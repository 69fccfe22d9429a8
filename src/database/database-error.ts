import { ChainkeeperError, InvariantError, OperationalError, UserError } from '../domain/errors';

/** Driver codes of MySQL, MariaDB and SQLite by what they mean to us. A code is matched whole or up to an underscore. */
const MEANING: readonly (readonly [string, readonly string[]])[] = [
  ['duplicate', ['ER_DUP_ENTRY', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY']],
  ['reference', ['ER_NO_REFERENCED_ROW', 'ER_ROW_IS_REFERENCED', 'SQLITE_CONSTRAINT_FOREIGNKEY']],
  ['value', ['ER_DATA_TOO_LONG', 'ER_WARN_DATA_OUT_OF_RANGE', 'ER_TRUNCATED_WRONG_VALUE', 'SQLITE_TOOBIG']],
  ['busy', ['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD', 'SQLITE_BUSY', 'SQLITE_LOCKED']],
  ['denied', ['ER_ACCESS_DENIED', 'ER_DBACCESS_DENIED', 'ER_TABLEACCESS_DENIED', 'ER_BAD_DB']],
  ['read-only', ['SQLITE_READONLY', 'SQLITE_PERM', 'ER_OPTION_PREVENTS_STATEMENT', 'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION']],
  ['full', ['SQLITE_FULL', 'ER_RECORD_FILE_FULL', 'ER_DISK_FULL']],
  ['damaged', ['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_IOERR', 'ER_NOT_KEYFILE', 'ER_CRASHED_ON_USAGE']],
  [
    'gone',
    [
      'ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ETIMEDOUT', 'EPIPE',
      'PROTOCOL_CONNECTION_LOST', 'PROTOCOL_ENQUEUE_AFTER', 'ER_SERVER_SHUTDOWN', 'ER_CON_COUNT_ERROR',
      'ER_TOO_MANY_USER_CONNECTIONS', 'ER_QUERY_INTERRUPTED', 'ER_CONNECTION_KILLED', 'SQLITE_CANTOPEN',
    ],
  ],
]; // prettier-ignore

interface DriverError {
  readonly code: string;
  readonly message: string;
}

/** The driver's own error inside TypeORM's, or the error itself; undefined when no database had a part in it. */
function driverErrorOf(error: unknown): DriverError | undefined {
  const inner: unknown = hasField(error, 'driverError') ? error.driverError : error;
  // mysql2 gives no code to a statement for a connection that has been closed meanwhile, as in the middle of a transaction.
  if (hasField(inner, 'fatal') && inner.fatal === true && !hasField(inner, 'code') && hasField(inner, 'message'))
    return { code: 'PROTOCOL_CONNECTION_LOST', message: String(inner.message) };
  if (!hasField(inner, 'code') || typeof inner.code !== 'string' || !hasField(inner, 'message')) return undefined;
  // ENOENT and its like come from files and sockets of all sorts; these two fields are how mysql2 marks its own.
  const ours = inner !== error || 'fatal' in inner || 'sqlState' in inner || /^(ER|SQLITE|PROTOCOL)_/.test(inner.code);
  return ours ? (inner as DriverError) : undefined;
}

/** By shape, not by `instanceof Error`: better-sqlite3's errors are not made the usual way. */
function hasField<K extends string>(value: unknown, field: K): value is Record<K, unknown> {
  return typeof value === 'object' && value !== null && field in value;
}

function meaningOf(code: string): string | undefined {
  const hit = MEANING.find(([, codes]) => codes.some((known) => code === known || code.startsWith(`${known}_`)));
  return hit?.[0];
}

/** Whether a unique key stood in the way. */
export function isDuplicate(error: unknown): boolean {
  const driver = driverErrorOf(error);
  return driver !== undefined && meaningOf(driver.code) === 'duplicate';
}

/** Whether somebody else was in the way, and the same work may succeed if it is done again. */
export function isBusy(error: unknown): boolean {
  return error instanceof ChainkeeperError && error.code === 'database.busy';
}

/**
 * Turns what a driver threw into one of our errors; anything else comes back as it is.
 * The driver's error carries the statement with its values, mount options included: only its code and message go on.
 */
export function toDatabaseError(error: unknown): unknown {
  if (error instanceof ChainkeeperError) return error;
  const driver = driverErrorOf(error);
  if (driver === undefined) return error;
  const parts = { facts: { databaseCode: driver.code }, cause: new Error(`${driver.code}: ${driver.message}`) };
  switch (meaningOf(driver.code)) {
    case 'duplicate':
      return new UserError('database.duplicate', 'conflict', 'There is one like it already.', parts);
    case 'reference':
      return new UserError(
        'database.reference',
        'conflict',
        'It belongs to something that is not there, or something belongs to it.',
        parts,
      );
    case 'value':
      return new UserError('database.value', 'invalid', 'A value is too long or too large for its column.', parts);
    case 'busy':
      return new OperationalError('database.busy', 'busy', 'The database is busy with other work.', parts);
    case 'denied':
      return new OperationalError('database.denied', 'failed', 'The database did not let us in.', {
        ...parts,
        next: 'Check user, password, the name of the database and the rights on it.',
      });
    case 'read-only':
      return new OperationalError('database.read-only', 'failed', 'The database cannot be written.', parts);
    case 'full':
      return new OperationalError('database.full', 'failed', 'The disk of the database is full; nothing was written.', parts);
    case 'damaged':
      return new OperationalError('database.damaged', 'failed', 'The database file cannot be read or is damaged.', {
        ...parts,
        next: 'Stop the service, keep a copy of the file, and check the disk it lies on.',
      });
    case 'gone':
      return new OperationalError('database.unreachable', 'unreachable', 'The database does not answer.', {
        ...parts,
        next: 'Start it, or set CHAINKEEPER_DB_HOST and _PORT, _SOCKET or _PATH to where it is.',
      });
    case undefined:
    default:
      return driver.code.startsWith('ER_') || driver.code.startsWith('SQLITE_')
        ? new InvariantError('database.refused', 'The database refused a statement of ours.', parts)
        : error;
  }
}

/** Books that are away say nothing of what was to be written into them: it waits for them. */
export const isOfBooks = (error: unknown): boolean => error instanceof OperationalError && error.code.startsWith('database.');
