import { createDataSource, type DatabaseConfig } from '../../../src/database/data-source';
import { migrate } from '../../../src/database/migrate';

/** Brings a database up to date and prints what it had to do. */
async function main(): Promise<void> {
  const source = await createDataSource(JSON.parse(process.argv[2] ?? '') as DatabaseConfig);
  process.stdout.write(`${JSON.stringify(await migrate(source))}\n`);
  await source.destroy();
}

void main();
