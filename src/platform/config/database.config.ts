import { homedir } from 'node:os';
import { join } from 'node:path';
import { IsIn, IsInt, IsOptional, IsString, Max, Min, MinLength } from 'class-validator';
import { Setting } from './setting';

/** Where the books are kept. */
export class BooksConfig {
  @Setting({
    env: 'CHAINKEEPER_DB_KIND',
    help: '`sqlite` (embedded, no server), `mysql` (MySQL 8) or `mariadb` (10.6 and newer).',
  })
  @IsIn(['sqlite', 'mysql', 'mariadb'])
  kind: 'sqlite' | 'mysql' | 'mariadb' = 'sqlite';

  @Setting({
    env: 'CHAINKEEPER_DB_PATH',
    help: 'SQLite only: the file. Default: chainkeeper/books.sqlite in the user data folder.',
  })
  @IsString()
  @MinLength(1)
  path = join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'chainkeeper/books.sqlite');

  @Setting({ env: 'CHAINKEEPER_DB_HOST', help: 'MySQL and MariaDB: host name or address.' })
  @IsString()
  host = '127.0.0.1';

  @Setting({ env: 'CHAINKEEPER_DB_PORT', as: 'integer', help: 'MySQL and MariaDB: TCP port.' })
  @IsInt()
  @Min(1)
  @Max(65535)
  port = 3306;

  @Setting({ env: 'CHAINKEEPER_DB_SOCKET', help: 'MySQL and MariaDB: Unix socket; instead of host and port.' })
  @IsOptional()
  @IsString()
  socketPath?: string;

  @Setting({ env: 'CHAINKEEPER_DB_USER', help: 'MySQL and MariaDB: user.' })
  @IsString()
  user = 'chainkeeper';

  @Setting({ env: 'CHAINKEEPER_DB_PASSWORD', secret: true, help: 'MySQL and MariaDB: password.' })
  @IsString()
  password = '';

  @Setting({ env: 'CHAINKEEPER_DB_NAME', help: 'MySQL and MariaDB: database (schema).' })
  @IsString()
  @MinLength(1)
  database = 'chainkeeper';

  @Setting({
    env: 'CHAINKEEPER_BOOKS_COPIES',
    help: 'Directory for copies of the books. One is made there before an upgrade changes the tables; without it nothing is changed. Default: chainkeeper/copies in the user data folder.',
  })
  @IsString()
  @MinLength(1)
  copies = join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local/share'), 'chainkeeper/copies');

  @Setting({
    env: 'CHAINKEEPER_BOOKS_COPY_HOURS',
    as: 'integer',
    help: 'Hours after which the upkeep copies the books again, and takes the copy to every repository; 0: never by itself.',
  })
  @IsInt()
  @Min(0)
  @Max(1000)
  copyHours = 24;

  @Setting({
    env: 'CHAINKEEPER_BOOKS_COPIES_KEPT',
    as: 'integer',
    help: 'Copies of the books that are kept there and in each repository; older ones go.',
  })
  @IsInt()
  @Min(1)
  @Max(1000)
  copiesKept = 14;
}
