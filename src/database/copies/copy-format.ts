/**
 * A copy of the books: lines of JSON, gzipped, the same for every database. First the head; then for each table a line that names its
 * columns, and its rows, one a line, in that order; at the end how many rows there were, so that half a copy is none.
 */
export const FORMAT = 'chainkeeper-books';

/** The first line. */
export interface CopyHead {
  readonly format: typeof FORMAT;
  readonly v: 1;
  /** Version of the service that made it. */
  readonly service: string;
  /** RFC 3339. */
  readonly made: string;
  /** What the tables were brought up to date by: what they look like. */
  readonly migrations: readonly string[];
  /** Repositories whose secrets among the mount options were left out; null: nothing was. */
  readonly secretsLeftOut: readonly string[] | null;
}

/** The line before the rows of a table. */
export interface CopyTable {
  readonly table: string;
  readonly columns: readonly string[];
}

/** One value of a row: a moment is a text as SQLite has it, a truth value 0 or 1. */
export type CopyValue = string | number | null;

/** The last line: rows by table. */
export interface CopyEnd {
  readonly end: Readonly<Record<string, number>>;
}

/** A moment as a copy's name has it: in the order of their names they are in that of time. */
export const timeName = (at: Date): string => at.toISOString().slice(0, 19).replace(/[-T:]/g, '.');

/** What a copy is called that the service makes by itself; the host script knows it by the same. */
export const COPY_NAME = /^books-\d{4}(\.\d\d){5}\.jsonl\.gz$/;
