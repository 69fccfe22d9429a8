import { isAnyOption } from './mount-option-names';

/** Who the NAS should take us for. Travels on stdin only. */
export interface Credentials {
  readonly username?: string;
  readonly password?: string;
  readonly domain?: string;
}

/** Mount options, parted into what anybody may see and what nobody may. */
export interface MountOptions {
  /** Fit for a command line. */
  readonly open: string;
  readonly credentials: Credentials | null;
  /** Options that are as secret as a password, but are none of the credentials: a key, a file that holds one. */
  readonly secret: readonly string[];
}

/** One option of the list. */
export interface MountOption {
  /** As written; null: it may be a part of a secret, and is shown to nobody. */
  readonly name: string | null;
  readonly value: string | null;
  /** The part of the credentials that it is. */
  readonly part: keyof Credentials | null;
  readonly secret: boolean;
  readonly text: string;
}

const CREDENTIAL = new Map<string, keyof Credentials>([
  ['user', 'username'],
  ['username', 'username'],
  ['pass', 'password'],
  ['password', 'password'],
  ['dom', 'domain'],
  ['domain', 'domain'],
  ['workgroup', 'domain'],
]);

const SECRET = /^(?:password2|credentials|cred|secret|secretfile|key|keyfile|.*(?:pass|secret|token).*)$/i;

/**
 * Reads mount options as CloudStack keeps them: one list with commas. Unlike for mount.cifs, a password with a comma in it cannot be told
 * from two options here; so what follows a secret and is no option that anybody knows is taken for the rest of it.
 */
export function readMountOptions(options: string): MountOption[] {
  let afterSecret = false;
  return options
    .split(',')
    .filter((option) => option !== '')
    .map((text) => {
      const at = text.indexOf('=');
      const name = (at < 0 ? text : text.slice(0, at)).trim();
      const part = at < 0 ? null : (CREDENTIAL.get(name.toLowerCase()) ?? null);
      const rest = afterSecret && part === null && !SECRET.test(name) && !isAnyOption(name);
      const secret = part === null && (rest || SECRET.test(name));
      afterSecret = secret || part === 'password';
      return { name: rest ? null : name, value: at < 0 ? null : text.slice(at + 1), part, secret, text };
    });
}

/** Parts mount options by who may see them. */
export function partMountOptions(options: string): MountOptions {
  const all = readMountOptions(options);
  const credentials = Object.fromEntries(all.flatMap(({ part, value }) => (part === null ? [] : [[part, value ?? '']])));
  return {
    open: all.flatMap(({ part, secret, text }) => (part === null && !secret ? [text] : [])).join(','),
    credentials: Object.keys(credentials).length > 0 ? credentials : null,
    secret: all.flatMap(({ secret, text }) => (secret ? [text] : [])),
  };
}

/** Their names, which are no secret; values may hold credentials. */
export const mountOptionNames = (options: string): string[] => readMountOptions(options).flatMap(({ name }) => name ?? []);
