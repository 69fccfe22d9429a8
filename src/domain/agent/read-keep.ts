import { list, object, type Reading, readJson, required, text, version1 } from './json-shape';

/** What lies on a NAS after a copy of the books came there. */
export interface Kept {
  readonly name: string;
  /** Names of the copies that are there, oldest first. */
  readonly kept: readonly string[];
  readonly removed: readonly string[];
}

const kept = object<Kept & { v: 1 }>({ v: version1, name: required(text), kept: list(text), removed: list(text) });

/** Reads the answer of `keep`. */
export const readKeep = (json: string): Reading<Kept> => readJson(json, kept);
