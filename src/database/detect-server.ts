import { createConnection, type ConnectionOptions, type RowDataPacket } from 'mysql2/promise';
import { UserError } from '../domain/errors';

const OLDEST = { mysql: [8, 0], mariadb: [10, 6] } as const;

/**
 * Asks a server what it is: TypeORM speaks two dialects, and MariaDB's `INSERT ... RETURNING` is a syntax error on MySQL. The one place
 * that goes by the server's version (docs/databases.md).
 * @throws UserError `database.too-old`, or `database.not-strict` when the server would cut values short without a word
 */
export async function detectServer(options: ConnectionOptions): Promise<'mysql' | 'mariadb'> {
  const connection = await createConnection(options);
  try {
    const [rows] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version, @@SESSION.sql_mode AS mode');
    const { version, mode } = rows[0] as { version: string; mode: string };
    const kind = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
    // Some MariaDB servers put `5.5.5-` before their version for old clients.
    const [major = 0, minor = 0] = version
      .replace(/^5\.5\.5-/, '')
      .split('.')
      .map(Number.parseFloat);
    const [oldMajor, oldMinor] = OLDEST[kind];
    if (major < oldMajor || (major === oldMajor && minor < oldMinor))
      throw new UserError(
        'database.too-old',
        'refused',
        `The database server is ${version}; MySQL 8.0 or MariaDB 10.6 is needed.`,
      );
    if (!/STRICT_(TRANS|ALL)_TABLES/.test(mode))
      throw new UserError(
        'database.not-strict',
        'refused',
        'The database server cuts long values short instead of refusing them.',
        {
          next: 'Add STRICT_TRANS_TABLES to sql_mode of the server.',
        },
      );
    return kind;
  } finally {
    await connection.end();
  }
}
