import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SqliteFile } from '../../../src/database/sqlite-driver';

/** Leaves statements to the garbage collector, and says which compiled driver it did that with. */
function main(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const file = new SqliteFile(':memory:');
  for (let i = 0; i < 3; i += 1) {
    for (let j = 0; j < 500; j += 1) file.prepare('SELECT 1').get();
    collect();
  }
  file.close();
  const compiled = Object.keys(require.cache).filter((name) => name.includes('sqlite') && name.endsWith('.node'));
  process.stdout.write(`${compiled.join(' ')}\n`);
}

main();
