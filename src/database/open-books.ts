import type { DataSource } from 'typeorm';
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
 * @throws UserError `database.in-use` and what `createDataSource` and `migrate` throw; nothing stays open then
 */
export async function openBooks(config: DatabaseConfig): Promise<OpenBooks> {
  const lock = config.kind === 'sqlite' && config.path !== ':memory:' ? takeServeLock(config.path) : undefined;
  let dataSource: DataSource | undefined;
  const close = async (): Promise<void> => {
    if (dataSource?.isInitialized) await dataSource.destroy();
    lock?.release();
  };
  try {
    dataSource = await createDataSource(config);
    return { dataSource, migrated: await migrate(dataSource), close };
  } catch (error) {
    await close();
    throw error;
  }
}
