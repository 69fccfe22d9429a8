import { setTimeout as sleep } from 'node:timers/promises';
import { createDataSource, type DatabaseConfig } from '../../../src/database/data-source';
import { StoragePoolRow } from '../../../src/database/entities/storage-pool-row';
import { UnitOfWork } from '../../../src/database/unit-of-work';

/** Writes a row, says so, and holds the transaction for a while. */
async function main(): Promise<void> {
  const { config, name, forMs } = JSON.parse(process.argv[2] ?? '') as { config: DatabaseConfig; name: string; forMs: number };
  const source = await createDataSource(config);
  await new UnitOfWork(source).run(async (manager) => {
    await manager.insert(StoragePoolRow, { name, poolType: 'Filesystem', dataCenterId: 1, hostAddress: 'h', path: '/' });
    process.stdout.write('written\n');
    await sleep(forMs);
  });
  await source.destroy();
}

void main();
