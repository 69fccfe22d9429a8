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

const CREDENTIAL: Readonly<Record<string, keyof Credentials>> = {
  user: 'username',
  username: 'username',
  pass: 'password',
  password: 'password',
  dom: 'domain',
  domain: 'domain',
  workgroup: 'domain',
};

const SECRET = /^(?:password2|credentials|cred|secret|secretfile|key|keyfile|.*(?:pass|secret|token).*)$/i;

/**
 * Parts mount options as CloudStack keeps them (one list with commas) into open ones, credentials and other secrets.
 * Unlike mount.cifs, a password with a comma cannot be told from two options here: what follows stays an option.
 */
export function partMountOptions(options: string): MountOptions {
  const credentials: Partial<Record<keyof Credentials, string>> = {};
  const open: string[] = [];
  const secret: string[] = [];
  for (const option of options.split(',')) {
    const at = option.indexOf('=');
    const key = (at < 0 ? option : option.slice(0, at)).trim();
    const part = CREDENTIAL[key.toLowerCase()];
    if (part !== undefined && at >= 0) credentials[part] = option.slice(at + 1);
    else if (SECRET.test(key)) secret.push(option);
    else if (option !== '') open.push(option);
  }
  return {
    open: open.join(','),
    credentials: Object.keys(credentials).length > 0 ? credentials : null,
    secret,
  };
}
