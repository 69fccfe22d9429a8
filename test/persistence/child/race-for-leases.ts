import { createDataSource, type DatabaseConfig } from '../../../src/database/data-source';
import { Leases } from '../../../src/database/repositories/leases';
import { UnitOfWork } from '../../../src/database/unit-of-work';

/** Asks for the lease of one VM after another and prints those it got. */
async function main(): Promise<void> {
  const { config, firstVmId, rounds, owner } = JSON.parse(process.argv[2] ?? '') as {
    config: DatabaseConfig;
    firstVmId: number;
    rounds: number;
    owner: string;
  };
  const source = await createDataSource(config);
  const leases = new Leases(new UnitOfWork(source));
  const won: number[] = [];
  for (let vmId = firstVmId; vmId < firstVmId + rounds; vmId += 1)
    if ((await leases.acquire(vmId, `run-of-${owner}`, owner, 60_000)).kind === 'held') won.push(vmId);
  process.stdout.write(`${JSON.stringify(won)}\n`);
  await source.destroy();
}

void main();
