import type { HostFacts, InspectFacts } from './facts';
import type { AppArmorFacts } from './apparmor';
import { count, list, maybe, object, oneOf, orElse, type Reading, readJson, required, text, time, version1 } from './json-shape';
import { hostFacts, space } from './read-facts';

/** The answer of `check`: what our script sees of its host, and of one repository from there. */
export interface CheckFacts {
  readonly script: string | null;
  readonly host: HostFacts;
  /** The host's clock. */
  readonly time: string;
  /** sshd's MaxSessions; null: it does not tell. */
  readonly maxSessions: number | null;
  readonly space: InspectFacts['space'];
  /** Milliseconds that the repository took to keep 4 KiB. */
  readonly writeMs: number | null;
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
  writeMs: maybe(count),
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
