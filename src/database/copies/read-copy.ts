import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { UserError } from '../../domain/errors';
import { type CopyEnd, type CopyHead, type CopyTable, type CopyValue, FORMAT } from './copy-format';

/** Some rows of a table; none, where it begins. */
export interface CopyRows extends CopyTable {
  readonly rows: CopyValue[][];
}

/** A copy that is being read. */
export interface OpenCopy {
  readonly head: CopyHead;
  /** The rows in their order. @throws UserError `books.unreadable` where the copy is damaged or ends too early */
  rows(): AsyncGenerator<CopyRows>;
}

/** Rows and characters that are handed on at once: one statement of a database takes no more than it has room for. */
const ROWS = 100;
const CHARACTERS = 1_000_000;

const unreadable = (file: string, why: string, cause?: unknown): UserError =>
  new UserError('books.unreadable', 'invalid', `${file} is no whole copy of the books: ${why}.`, {
    next: 'Take another copy; nothing was changed.',
    ...(cause === undefined ? {} : { cause }),
  });

/** Opens a copy and reads its head. @throws UserError `books.unreadable` */
export async function readCopy(file: string): Promise<OpenCopy> {
  const lines = linesOf(file);
  const first = await lines.next();
  const head = first.done ? null : (first.value as Partial<CopyHead> | null);
  if (
    head?.format !== FORMAT ||
    head.v !== 1 ||
    !isTexts(head.migrations) ||
    !(head.secretsLeftOut === null || isTexts(head.secretsLeftOut))
  )
    throw unreadable(file, 'its first line does not say that it is one');
  return { head: head as CopyHead, rows: () => rowsOf(file, lines) };
}

async function* rowsOf(file: string, lines: AsyncGenerator<unknown>): AsyncGenerator<CopyRows> {
  const counts: Record<string, number> = {};
  let table: CopyTable | null = null;
  let rows: CopyValue[][] = [];
  let length = 0;
  let end: CopyEnd['end'] | null = null;
  for await (const value of lines) {
    if (end !== null) throw unreadable(file, 'it goes on after its end');
    if (isRow(value)) {
      if (table === null || value.length !== table.columns.length) throw unreadable(file, 'a row does not fit its table');
      rows.push(value);
      counts[table.table] = (counts[table.table] ?? 0) + 1;
      length += value.reduce<number>((sum, one) => sum + (typeof one === 'string' ? one.length : 0), 0);
      if (rows.length < ROWS && length < CHARACTERS) continue;
    }
    if (table !== null && rows.length > 0) yield { ...table, rows };
    [rows, length] = [[], 0];
    if (isRow(value)) continue;
    const { table: name, columns, end: last } = (value ?? {}) as Partial<CopyTable & CopyEnd>;
    if (typeof name === 'string' && isTexts(columns)) {
      table = { table: name, columns };
      counts[name] ??= 0;
      yield { ...table, rows };
    } else if (typeof last === 'object') end = last;
    else throw unreadable(file, 'a line is neither row nor table');
  }
  if (end === null) throw unreadable(file, 'its end is missing');
  if (JSON.stringify(sorted(end)) !== JSON.stringify(sorted(counts))) throw unreadable(file, 'rows are missing');
}

async function* linesOf(file: string): AsyncGenerator<unknown> {
  const unpacked = createGunzip();
  // What goes wrong below comes up where the lines are read.
  pipeline(createReadStream(file), unpacked, () => undefined);
  try {
    let rest = '';
    for await (const text of unpacked.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line);
    }
    if (rest !== '') yield JSON.parse(rest);
  } catch (error) {
    throw unreadable(file, (error as Error).message, error);
  }
}

const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((one) => typeof one === 'string');
const isRow = (value: unknown): value is CopyValue[] => Array.isArray(value) && value.every(isValue);
const isValue = (value: unknown): boolean => value === null || typeof value === 'string' || typeof value === 'number';
const sorted = (counts: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
