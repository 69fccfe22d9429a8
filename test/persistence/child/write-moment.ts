import { createDataSource, type DatabaseConfig } from '../../../src/database/data-source';
import { now } from '../../../src/database/database-time';
import { EvidenceRow } from '../../../src/database/entities/evidence-row';
import { UnitOfWork } from '../../../src/database/unit-of-work';

/** Writes a moment, reads it back, and prints it with the time zone that this process is in. */
async function main(): Promise<void> {
  const { config, vmId, moment } = JSON.parse(process.argv[2] ?? '') as { config: DatabaseConfig; vmId: number; moment: string };
  const source = await createDataSource(config);
  const row = await new UnitOfWork(source).run(async (manager) => {
    await manager.insert(EvidenceRow, {
      vmId,
      kind: 'inspect',
      facts: '{}',
      at: () => now(manager),
      qemuStarted: new Date(moment),
    });
    return manager.findOneByOrFail(EvidenceRow, { vmId });
  });
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  process.stdout.write(`${timeZone} ${row.qemuStarted?.toISOString()}\n`);
  await source.destroy();
}

void main();
