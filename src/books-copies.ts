import { resolve } from 'node:path';
import { exportBooks, type Exported } from './database/copies/export-books';
import { type Imported, importBooks } from './database/copies/import-books';
import { UserError } from './domain/errors';
import { loadConfig } from './platform/config/load-config';

/*
 * What the command line does to the books without a service: to copy them it reads them at one moment, beside whatever runs; to bring
 * them back it holds the lock that a service would.
 */

/** Copies the books that the environment points at, secrets included. @throws UserError `books.*` */
export function copyTo(file: string): Promise<Exported> {
  return exportBooks(loadConfig(process.env).books, resolve(file), { secrets: true });
}

/** Brings the books that the environment points at back from a copy. @throws UserError `books.*`, `database.in-use` */
export function bringBack(file: string): Promise<Imported> {
  const { books } = loadConfig(process.env);
  if (books.kind === 'sqlite' && books.path === ':memory:')
    throw new UserError('books.in-memory', 'invalid', 'Books that are kept in memory would be gone at once.', {
      next: 'Set CHAINKEEPER_DB_PATH to a file.',
    });
  return importBooks(books, resolve(file));
}
