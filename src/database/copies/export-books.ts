import { createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { partMountOptions } from '../../domain/agent/mount-options';
import { ChainkeeperError, OperationalError } from '../../domain/errors';
import { VERSION } from '../../platform/version';
import type { DatabaseConfig } from '../data-source';
import { type CopyEnd, type CopyHead, type CopyTable, type CopyValue, FORMAT } from './copy-format';
import { onSnapshot, type Snapshot } from './snapshot';

/** What a copy is to be. */
export interface ExportOptions {
  /** False: what is secret among the mount options of repositories is left out, for a place that others may read. */
  readonly secrets: boolean;
}

/** What was copied. */
export interface Exported extends CopyHead {
  readonly file: string;
  /** By table. */
  readonly rows: Readonly<Record<string, number>>;
}

/**
 * Copies the books into a file, as they are at one moment; a service may run meanwhile. The file is there whole or not at all, and
 * nobody else may read it.
 * @throws UserError `books.none`; OperationalError `books.copy-failed`
 */
export async function exportBooks(config: DatabaseConfig, file: string, options: ExportOptions): Promise<Exported> {
  const unfinished = `${file}.${process.pid}.new`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    return await onSnapshot(config, async (books) => {
      const head = await headOf(books, options);
      const rows: Record<string, number> = {};
      const to = createWriteStream(unfinished, { flags: 'wx', mode: 0o600 });
      await pipeline(Readable.from(linesOf(books, head, rows)), createGzip(), to);
      await settle(unfinished, file);
      return { ...head, file, rows };
    });
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    if (error instanceof ChainkeeperError) throw error;
    throw new OperationalError(
      'books.copy-failed',
      'failed',
      `The books could not be copied to ${file}: ${(error as Error).message}`,
      {
        next: 'Make room there, or choose another place.',
        cause: error,
      },
    );
  }
}

async function headOf(books: Snapshot, { secrets }: ExportOptions): Promise<CopyHead> {
  const migrations = await books.migrations();
  const secretsLeftOut = secrets ? null : await withSecrets(books);
  return { format: FORMAT, v: 1, service: VERSION, made: new Date().toISOString(), migrations, secretsLeftOut };
}

const REPOSITORIES = 'backup_repository';

/** Names of the repositories that have a secret among their mount options. */
async function withSecrets(books: Snapshot): Promise<string[]> {
  const table = (await books.tables()).find((one) => one.table === REPOSITORIES);
  const names: string[] = [];
  if (table === undefined) return names;
  const [name, options] = [table.columns.indexOf('name'), table.columns.indexOf('mount_opts')];
  for await (const rows of books.rows(table))
    for (const row of rows) if (openPart(row[options]) !== row[options]) names.push(String(row[name]));
  return names;
}

const openPart = (options: CopyValue | undefined): CopyValue =>
  typeof options === 'string' ? openOf(options) : (options ?? null);

function openOf(options: string): string {
  const { open, credentials, secret } = partMountOptions(options);
  return credentials === null && secret.length === 0 ? options : open;
}

async function* linesOf(books: Snapshot, head: CopyHead, counts: Record<string, number>): AsyncGenerator<string> {
  yield line(head);
  for (const table of await books.tables()) {
    yield line(table);
    counts[table.table] = 0;
    for await (const rows of books.rows(table)) {
      counts[table.table] = (counts[table.table] ?? 0) + rows.length;
      yield rows.map((row) => line(head.secretsLeftOut === null ? row : withoutSecrets(table, row))).join('');
    }
  }
  yield line({ end: counts } satisfies CopyEnd);
}

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

const withoutSecrets = ({ table, columns }: CopyTable, row: CopyValue[]): CopyValue[] =>
  table === REPOSITORIES ? row.map((value, index) => (columns[index] === 'mount_opts' ? openPart(value) : value)) : row;

/** On disk before it has its name, and its name on disk before it counts. */
async function settle(unfinished: string, file: string): Promise<void> {
  await sync(unfinished);
  await rename(unfinished, file);
  await sync(dirname(file));
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
