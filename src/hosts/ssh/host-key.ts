import { readFile } from 'node:fs/promises';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import { UserError } from '../../domain/errors';
import type { HostAccess } from '../host-access';
import { entriesFor, fingerprintOf, judgeKey, keyTypeOf, type KeyVerdict } from './known-hosts';

/** Decides whether a host is the one that it claims to be. */
export interface HostKeyCheck {
  /** Key types to ask for, the known ones first: a host has several keys, and only one is shown. */
  readonly algorithms: ServerHostKeyAlgorithm[];
  /** Null when the key is the pinned one, else the error to refuse it with. */
  readonly judge: (key: Buffer) => UserError | null;
}

const SIGNATURES: Readonly<Record<string, ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};
const TYPES = Object.keys(SIGNATURES);

/** Reads what is pinned for a host. A missing known_hosts file knows no host. */
export async function hostKeyCheck(host: HostAccess): Promise<HostKeyCheck> {
  const pinned = host.fingerprint?.replace(/=+$/, '');
  if (pinned) {
    const verdict = (key: Buffer): KeyVerdict => (fingerprintOf(key) === pinned ? 'known' : 'changed');
    return check(host, TYPES, verdict, pinned);
  }
  const entries = entriesFor(await readKnownHosts(host), host.address, host.port);
  const known = TYPES.filter((type) => entries.some((entry) => entry.type === type));
  return check(host, [...new Set([...known, ...TYPES])], (key) => judgeKey(entries, key), null);
}

async function readKnownHosts({ knownHostsFile }: HostAccess): Promise<string> {
  if (knownHostsFile === null) return '';
  try {
    return await readFile(knownHostsFile, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new UserError('host.known-hosts-file', 'invalid', `Cannot read ${knownHostsFile}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function check(
  host: HostAccess,
  types: readonly string[],
  verdict: (key: Buffer) => KeyVerdict,
  pinned: string | null,
): HostKeyCheck {
  return {
    algorithms: types.flatMap((type) => SIGNATURES[type] ?? []),
    judge: (key) => {
      const found = verdict(key);
      return found === 'known' ? null : refusal(host, key, found, pinned);
    },
  };
}

const WHAT: Readonly<Record<Exclude<KeyVerdict, 'known'>, string>> = {
  unknown: 'is not known here',
  changed: 'is not the one that is pinned: the host was reinstalled, or somebody stands in between',
  revoked: 'is marked as revoked',
};

function refusal(host: HostAccess, key: Buffer, verdict: Exclude<KeyVerdict, 'known'>, pinned: string | null): UserError {
  const seen = fingerprintOf(key);
  const type = keyTypeOf(key);
  const where = host.knownHostsFile && pinned === null ? `, or add it to ${host.knownHostsFile}` : '';
  return new UserError(
    `host.key-${verdict}`,
    'refused',
    `The key of ${host.name} (${host.address} port ${host.port}), ${type} ${seen}, ${WHAT[verdict]}`,
    {
      next:
        verdict === 'revoked'
          ? 'Give the host a new key.'
          : `Run \`ssh-keygen -lf\` on the host's own /etc/ssh/ssh_host_*_key.pub; if it shows ${seen}, accept it: chainkeeper host change ${host.name} --fingerprint ${seen}${where}.`,
      facts: { host: host.name, seen, type, pinned },
    },
  );
}
