import type { HostFacts } from './facts';
import {
  count,
  flag,
  list,
  maybe,
  object,
  oneOf,
  orElse,
  type Reading,
  readJson,
  record,
  required,
  text,
  version1,
} from './json-shape';
import { hostFacts } from './read-facts';
import { readTranscript } from './transcript';

/** One disk of a restore that has ended. */
export interface RestoredDisk {
  readonly target: string;
  readonly file: string;
  readonly to: string;
  readonly format: string | null;
  /** In bytes, as the chain's last file says; null: it was not looked at. */
  readonly virtualSize: number | null;
  /** Bytes that the new disk takes; null where that means nothing (a block device) or there is none. */
  readonly allocated: number | null;
  /** Files in its chain. */
  readonly links: number | null;
  /** Of these the ones with a checksum that held; the others have none yet. */
  readonly hashed: number | null;
  /** Bytes that could not be read and are zeroes in the new disk; null: it did not come to that, or all were read. */
  readonly unread: number | null;
  /** The new disk was compared with the chain, byte for byte; null: it did not come to that. */
  readonly identical: boolean | null;
  readonly convertMs: number | null;
  readonly compareMs: number | null;
  /** It stands in the place of the old volume. */
  readonly swapped: boolean;
}

/** A file of a chain that is not as it was when it was hashed, or is gone from a repository where others of the VM lie. */
export interface SpoiltFile {
  /** From the root of the NAS. */
  readonly path: string;
  /** Null: a word of a newer script. */
  readonly state: 'damaged' | 'missing' | null;
}

/** `RESTORE=` of a restore. Printed on failure too, then with `error`. */
export interface RestoreFacts {
  readonly v: 1;
  readonly script: string | null;
  readonly host: HostFacts;
  readonly vm: string;
  readonly disks: readonly RestoredDisk[];
  /** All disks stand in the place of the VM's volumes. */
  readonly swapped: boolean;
  /** The new domain; null: none was asked for, or it did not come to that. */
  readonly domain: { readonly name: string; readonly uuid: string } | null;
  /** Where the new disk was attached. */
  readonly attached: { readonly vm: string; readonly target: string } | null;
  /** What was not as it had been and was taken all the same, in sentences: a salvage. */
  readonly damaged: readonly string[];
  /** What the books must know of the files, however it ended. */
  readonly spoilt: readonly SpoiltFile[];
  readonly cleanup: { readonly ok: boolean; readonly left: readonly string[] };
  /** Milliseconds of mount, prepare (looking, checking and hashing), convert, compare, sync, swap, unmount, total. */
  readonly timings: Readonly<Record<string, number | null>>;
  /** Why the restore failed: a stable code of the script and a sentence. Null on success. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

const disk = object<RestoredDisk>({
  target: required(text),
  file: required(text),
  to: required(text),
  format: maybe(text),
  virtualSize: maybe(count),
  allocated: maybe(count),
  links: maybe(count),
  hashed: maybe(count),
  unread: maybe(count),
  identical: maybe(flag),
  convertMs: maybe(count),
  compareMs: maybe(count),
  swapped: required(flag),
});

const restore = object<RestoreFacts>({
  v: version1,
  script: maybe(text),
  host: hostFacts,
  vm: required(text),
  disks: list(disk),
  // Of a restore that touched the VM nothing may be guessed.
  swapped: required(flag),
  domain: maybe(object<NonNullable<RestoreFacts['domain']>>({ name: required(text), uuid: required(text) })),
  attached: maybe(object<NonNullable<RestoreFacts['attached']>>({ vm: required(text), target: required(text) })),
  damaged: orElse(list(text), []),
  spoilt: orElse(list(object<SpoiltFile>({ path: required(text), state: maybe(oneOf(['damaged', 'missing'])) })), []),
  cleanup: orElse(object<RestoreFacts['cleanup']>({ ok: required(flag), left: orElse(list(text), []) }), { ok: true, left: [] }),
  timings: orElse(record(maybe(count)), {}),
  error: maybe(object<NonNullable<RestoreFacts['error']>>({ code: required(text), message: required(text) })),
});

/** Finds the line `RESTORE=` in what `restore` has printed, and reads it. A wrong type refuses the whole, with its path. */
export function readRestore(stdout: string): Reading<RestoreFacts> {
  const json = readTranscript(stdout).markers.get('RESTORE');
  if (json === undefined) return { ok: false, path: '$', message: 'there is no line RESTORE=', warnings: [] };
  return readJson(json, restore);
}
