import type { UnitOfWork } from './unit-of-work';

/** `CKbk`: what `file` can tell a SQLite file of ours by. */
const APPLICATION_ID = 0x43_4b_62_6b;

/**
 * Does to the books what every call needs. A file that is locked, on a full disk or read-only can still be read, so there it is written;
 * the number that is written is the one that stands there.
 * @throws OperationalError with what is wrong
 */
export async function probeBooks(work: UnitOfWork): Promise<void> {
  await work.run(async (manager) => {
    const isFile = manager.dataSource.options.type === 'better-sqlite3';
    await manager.query(isFile ? `PRAGMA application_id = ${APPLICATION_ID}` : 'SELECT 1');
  });
}
