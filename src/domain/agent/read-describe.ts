import { maybe, object, type Reading, readJson, required, text, time, version1 } from './json-shape';

/** What `describe` has written. */
export interface Described {
  /** Directory of the backup. */
  readonly path: string;
  /** Name of the VM's definition beside its files, where there is one. */
  readonly domainXml: string | null;
  /** By the host's clock. */
  readonly written: string;
}

const described = object<Described & { v: 1 }>({
  v: version1,
  path: required(text),
  domainXml: maybe(text),
  written: required(time),
});

/** Reads the answer of `describe`. */
export const readDescribe = (json: string): Reading<Described> => readJson(json, described);
