import { SqliteFile } from '../../../src/database/sqlite-driver';

// Another program with the file of the books: waits for its turn, says so, and holds the file until it is killed.
const { path } = JSON.parse(process.argv[2] ?? '') as { path: string };
const file = new SqliteFile(path, { timeout: 60_000 });
process.stdout.write('waiting\n');
file.exec('BEGIN EXCLUSIVE');
process.stdout.write('locked\n');
// A file that nobody asks any more is closed by the garbage collector.
setInterval(() => file.inTransaction, 60_000);
