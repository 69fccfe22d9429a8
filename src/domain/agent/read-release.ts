import { flag, list, maybe, object, type Reading, readJson, required, text, version1 } from './json-shape';

/** One bitmap of ours on a VM. */
export interface ReleasedBitmap {
  readonly name: string;
  /** Targets of the disks that it was on; of a stopped VM their paths. */
  readonly disks: readonly string[];
  /** libvirt had a checkpoint of this name. */
  readonly checkpoint: boolean;
}

/** What `release` took off a VM, or with a dry run would take. */
export interface Release {
  readonly vm: string;
  readonly state: string | null;
  readonly dryRun: boolean;
  readonly bitmaps: readonly ReleasedBitmap[];
}

const release = object<Release & { v: 1 }>({
  v: version1,
  vm: required(text),
  state: maybe(text),
  dryRun: flag,
  bitmaps: list(object<ReleasedBitmap>({ name: required(text), disks: list(text), checkpoint: flag })),
});

/** Reads the answer of `release`. */
export const readRelease = (json: string): Reading<Release> => readJson(json, release);
