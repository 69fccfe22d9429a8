import { SqliteFile } from '../../../src/database/sqlite-driver';

/** Opens a file and says which compiled drivers that loaded. */
new SqliteFile(':memory:').close();
const compiled = Object.keys(require.cache).filter((name) => name.includes('sqlite') && name.endsWith('.node'));
process.stdout.write(`${compiled.join(' ')}\n`);
