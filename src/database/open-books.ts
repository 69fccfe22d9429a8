import { join } from 'node:path';
import type { DataSource } from 'typeorm';
import { exportBooks } from './copies/export-books';
import { timeName } from './copies/copy-format';
import { createDataSource, type DatabaseConfig } from './data-source';
import { migrate } from './migrate';
import { takeServeLock } from './serve-lock';

/** A database that is ours to serve. */
export interface OpenBooks {
  readonly dataSource: DataSource;
  /** Names of the migrations that this opening ran. */
  readonly migrated: readonly string[];
  close(): Promise<void>;
}

/**
 * Opens the books for a service: a file is locked against a second service first, then the tables are brought up to date.
 * @param copies directory for the copies that are made before tables change, one with secrets and one for other places; without it none is
 * @throws UserError `database.in-use`, OperationalError `books.copy-failed` and what `createDataSource` and `migrate` throw; nothing stays open then
 */
export async function openBooks(config: DatabaseConfig, copies?: string): Promise<OpenBooks> {
  const lock = config.kind === 'sqlite' && config.path !== ':memory:' ? takeServeLock(config.path) : undefined;
  let dataSource: DataSource | undefined;
  const close = async (): Promise<void> => {
    if (dataSource?.isInitialized) await dataSource.destroy();
    lock?.release();
  };
  try {
    dataSource = await createDataSource(config);
    const before = async (): Promise<void> => {
      if (copies === undefined) return;
      const end = `${timeName(new Date())}.jsonl.gz`;
      await exportBooks(config, join(copies, `before-${end}`), { secrets: true });
      // The upkeep takes the newest of these to the repositories.
      await exportBooks(config, join(copies, `books-${end}`), { secrets: false });
    };
    return { dataSource, migrated: await migrate(dataSource, { before }), close };
  } catch (error) {
    await close();
    throw error;
  }
}
