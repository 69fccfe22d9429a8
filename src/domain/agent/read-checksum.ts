import { count, flag, list, maybe, object, type Reading, readJson, record, required, text, version1 } from './json-shape';

/** What one file of a backup holds. */
export interface FileChecksum {
  readonly size: number;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
}

/** What `checksum` found. */
export interface Checksums {
  /** Directory of the backup. */
  readonly path: string;
  /** They were taken now; false: they lay there already. */
  readonly new: boolean;
  /** Bytes that were read. */
  readonly bytes: number;
  /** Names of the files that are not as they were; null: nothing was compared. */
  readonly differs: readonly string[] | null;
  /** Names of all that lies in the directory; null: nobody looked. */
  readonly there: readonly string[] | null;
  /** By name. */
  readonly files: Readonly<Record<string, FileChecksum>>;
}

const checksums = object<Checksums & { v: 1 }>({
  v: version1,
  path: required(text),
  new: flag,
  bytes: required(count),
  differs: maybe(list(text)),
  there: maybe(list(text)),
  files: record(object<FileChecksum>({ size: required(count), sha256: required(text) })),
});

/** Reads the answer of `checksum`. */
export const readChecksum = (json: string): Reading<Checksums> => readJson(json, checksums);
