import type { DatabaseConfig } from '../../src/database/data-source';
import { type Config, loadConfig } from '../../src/platform/config/load-config';

/** The settings of a service on such books as environment variables: a free port, silent and quick. */
export function environmentOf(books: DatabaseConfig, more: Record<string, string> = {}): Record<string, string> {
  return {
    CHAINKEEPER_HTTP_PORT: '0',
    CHAINKEEPER_LOG_LEVEL: process.env['CHAINKEEPER_TEST_LOG'] ?? 'silent',
    CHAINKEEPER_POLL_MS: '50',
    // A job of its own accord would be seen among those of the test.
    CHAINKEEPER_CHECKSUMS_PER_TURN: '0',
    CHAINKEEPER_BOOKS_COPY_HOURS: '0',
    // What fails is seen to fail.
    CHAINKEEPER_ATTEMPTS: '1',
    CHAINKEEPER_DB_KIND: books.kind,
    ...(books.kind === 'sqlite'
      ? { CHAINKEEPER_DB_PATH: books.path }
      : {
          CHAINKEEPER_DB_HOST: books.host,
          CHAINKEEPER_DB_PORT: String(books.port),
          CHAINKEEPER_DB_USER: books.user,
          CHAINKEEPER_DB_PASSWORD: books.password,
          CHAINKEEPER_DB_NAME: books.database,
          ...(books.socketPath === undefined ? {} : { CHAINKEEPER_DB_SOCKET: books.socketPath }),
        }),
    ...more,
  };
}

/** The same, read and validated. */
export const serviceConfig = (books: DatabaseConfig, more: Record<string, string> = {}): Config =>
  loadConfig(environmentOf(books, more));
