import type { UnitOfWork } from './unit-of-work';

/** `CKbk`: what `file` can tell a SQLite file of ours by. */
const APPLICATION_ID = 0x43_4b_62_6b;

/**
 * Does to the books what every call needs. A file that is locked or on a full disk, and a server that is read-only, can still be read, so it
 * is written: into the file the number that stands there, on a server into no row.
 * @throws OperationalError with what is wrong
 */
export async function probeBooks(work: UnitOfWork): Promise<void> {
  await work.run(async (manager) => {
    const isFile = manager.dataSource.options.type === 'better-sqlite3';
    await manager.query(
      isFile ? `PRAGMA application_id = ${APPLICATION_ID}` : 'UPDATE ck_vm_leases SET epoch = epoch WHERE 1 = 0',
    );
  });
}
