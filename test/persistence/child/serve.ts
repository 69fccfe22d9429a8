import type { DatabaseConfig } from '../../../src/database/data-source';
import { openBooks } from '../../../src/database/open-books';
import type { ChainkeeperError } from '../../../src/domain/errors';

/** Opens the books and holds them until it is killed; prints the error when it may not. */
async function main(): Promise<void> {
  try {
    await openBooks(JSON.parse(process.argv[2] ?? '') as DatabaseConfig);
    process.stdout.write('serving\n');
    setInterval(() => undefined, 1000);
  } catch (error) {
    const { code, kind, message } = error as ChainkeeperError;
    process.stdout.write(`${JSON.stringify({ code, kind, message })}\n`);
    process.exitCode = 1;
  }
}

void main();
