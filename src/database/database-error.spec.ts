import { inspect } from 'node:util';
import { QueryFailedError } from 'typeorm';
import { UserError } from '../domain/errors';
import { isBusy, isDuplicate, toDatabaseError } from './database-error';

const failed = (code: string, message = 'said the driver'): QueryFailedError =>
  new QueryFailedError(
    'INSERT INTO backup_repository VALUES (?)',
    ['password=s3cret'],
    Object.assign(new Error(message), { code, sql: 's3cret' }),
  );

describe('an error of the database', () => {
  it.each([
    ['ER_DUP_ENTRY', 'database.duplicate', 'conflict'],
    ['SQLITE_CONSTRAINT_UNIQUE', 'database.duplicate', 'conflict'],
    ['SQLITE_CONSTRAINT_PRIMARYKEY', 'database.duplicate', 'conflict'],
    ['ER_NO_REFERENCED_ROW_2', 'database.reference', 'conflict'],
    ['ER_ROW_IS_REFERENCED_2', 'database.reference', 'conflict'],
    ['SQLITE_CONSTRAINT_FOREIGNKEY', 'database.reference', 'conflict'],
    ['ER_DATA_TOO_LONG', 'database.value', 'invalid'],
    ['ER_LOCK_DEADLOCK', 'database.busy', 'busy'],
    ['ER_LOCK_WAIT_TIMEOUT', 'database.busy', 'busy'],
    ['SQLITE_BUSY_SNAPSHOT', 'database.busy', 'busy'],
    ['ER_ACCESS_DENIED_ERROR', 'database.denied', 'failed'],
    ['SQLITE_READONLY', 'database.read-only', 'failed'],
    ['SQLITE_FULL', 'database.full', 'failed'],
    ['SQLITE_IOERR_WRITE', 'database.damaged', 'failed'],
    ['ECONNREFUSED', 'database.unreachable', 'unreachable'],
    ['PROTOCOL_CONNECTION_LOST', 'database.unreachable', 'unreachable'],
    ['ER_NO_SUCH_TABLE', 'database.refused', 'bug'],
    ['SQLITE_CONSTRAINT_NOTNULL', 'database.refused', 'bug'],
    // Not every code that begins alike is the same.
    ['SQLITE_CONSTRAINT', 'database.refused', 'bug'],
    ['ER_DUP_ENTRYISH', 'database.refused', 'bug'],
  ])('%s is %s, of the kind %s', (driverCode, code, kind) => {
    const error = toDatabaseError(failed(driverCode));
    expect(error).toMatchObject({ code, kind, facts: { databaseCode: driverCode } });
    expect(isBusy(error)).toBe(code === 'database.busy');
    expect(isDuplicate(failed(driverCode))).toBe(code === 'database.duplicate');
  });

  it('keeps what the driver said, and none of the values', () => {
    const error = toDatabaseError(failed('ER_LOCK_DEADLOCK'));
    expect(inspect(error, { depth: 10 })).toContain('ER_LOCK_DEADLOCK: said the driver');
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('s3cret');
  });

  it.each([
    new UserError('vm.not-found', 'not-found', 'no'),
    new Error('a bug'),
    Object.assign(new Error('no file'), { code: 'ENOENT' }),
    null,
    'text',
  ])('is not made of %p', (error) => {
    expect(toDatabaseError(error)).toBe(error);
    expect(isDuplicate(error)).toBe(false);
  });
});
