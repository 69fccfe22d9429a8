import type { HostFacts, InspectFacts } from './facts';
import type { AppArmorFacts } from './apparmor';
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
  required,
  text,
  time,
  version1,
} from './json-shape';
import { hostFacts, space } from './read-facts';

/** What came of each thing that a backup will ask of a repository; null: it was not tried, or is not known. */
export interface TriedRepository {
  /** File system, as stat calls it. */
  readonly type: string | null;
  /** 1 MiB was read back as it had been written. */
  readonly data: boolean | null;
  /** It was read past the host's cache. */
  readonly direct: boolean | null;
  /** A file took the place of another. */
  readonly rename: boolean | null;
  /** A directory was kept on demand (fsync). */
  readonly sync: boolean | null;
  readonly directories: boolean | null;
  /** What is not written takes no room. */
  readonly sparse: boolean | null;
  /** Bytes of the longest file that was tried and could be. */
  readonly largestFile: number | null;
  /** Small writes whose time was taken: until 4 KiB were kept, in microseconds. */
  readonly writes: number | null;
  readonly medianUs: number | null;
  readonly worstUs: number | null;
  /** What was written was gone afterwards. */
  readonly gone: boolean | null;
}

/** The answer of `check`: what our script sees of its host, and of one repository from there. */
export interface CheckFacts {
  readonly script: string | null;
  readonly host: HostFacts;
  /** The host's clock. */
  readonly time: string;
  /** sshd's MaxSessions; null: it does not tell. */
  readonly maxSessions: number | null;
  readonly space: InspectFacts['space'];
  /** Null: none was asked for, or the script is of a release that tried nothing. */
  readonly repository: TriedRepository | null;
  /** Null: the script is of a release that did not look. */
  readonly apparmor: AppArmorFacts | null;
  readonly problems: InspectFacts['problems'];
}

const check = object<CheckFacts & { v: 1 }>({
  v: version1,
  script: maybe(text),
  host: hostFacts,
  time: required(time),
  maxSessions: maybe(count),
  space,
  repository: maybe(
    object<TriedRepository>({
      type: maybe(text),
      data: maybe(flag),
      direct: maybe(flag),
      rename: maybe(flag),
      sync: maybe(flag),
      directories: maybe(flag),
      sparse: maybe(flag),
      largestFile: maybe(count),
      writes: maybe(count),
      medianUs: maybe(count),
      worstUs: maybe(count),
      gone: maybe(flag),
    }),
  ),
  apparmor: maybe(
    object<AppArmorFacts>({
      state: required(oneOf(['disabled', 'unused', 'confining'])),
      profiles: orElse(list(text), []),
      writes: orElse(list(text), []),
      files: orElse(list(object<AppArmorFacts['files'][number]>({ path: text, text })), []),
    }),
  ),
  problems: orElse(list(object<InspectFacts['problems'][number]>({ code: text, message: text })), []),
});

/** Reads the answer of `check`. */
export const readCheck = (json: string): Reading<CheckFacts> => readJson(json, check);
