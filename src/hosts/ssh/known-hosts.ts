import { createHash, createHmac } from 'node:crypto';

/** What a known_hosts file says about a key that a host has shown. */
export type KeyVerdict = 'known' | 'unknown' | 'changed' | 'revoked';

interface KnownHost {
  readonly revoked: boolean;
  readonly patterns: readonly string[];
  readonly type: string;
  readonly key: string;
}

/** The key's fingerprint as `ssh-keygen -lf` prints it. */
export function fingerprintOf(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** Type of a key in SSH wire format, for example `ssh-ed25519`. */
export function keyTypeOf(key: Buffer): string {
  if (key.length < 4) return '';
  const length = key.readUInt32BE(0);
  return key.subarray(4, 4 + length).toString('latin1');
}

/** The entries of a known_hosts file that speak about this host; lines that say nothing to us are passed over. */
export function entriesFor(knownHosts: string, address: string, port: number): KnownHost[] {
  // OpenSSH writes the port into the name unless it is 22.
  const name = (port === 22 ? address : `[${address}]:${port}`).toLowerCase();
  return knownHosts
    .split('\n')
    .map(readLine)
    .filter((entry): entry is KnownHost => entry !== null && names(entry.patterns, name));
}

/** Judges a key by the entries about its host. A key of another type than the known ones counts as changed. */
export function judgeKey(entries: readonly KnownHost[], key: Buffer): KeyVerdict {
  const shown = key.toString('base64');
  if (entries.some((entry) => entry.revoked && entry.key === shown)) return 'revoked';
  const trusted = entries.filter((entry) => !entry.revoked);
  if (trusted.some((entry) => entry.key === shown)) return 'known';
  return trusted.length === 0 ? 'unknown' : 'changed';
}

function readLine(line: string): KnownHost | null {
  const fields = line.trim().split(/\s+/);
  const marker = fields[0]?.startsWith('@') ? fields.shift() : undefined;
  const [patterns, type, key] = fields;
  // A certificate authority vouches for certificates, which are not asked for here.
  if (!patterns || !type || !key || patterns.startsWith('#') || marker === '@cert-authority') return null;
  return { revoked: marker === '@revoked', patterns: patterns.split(','), type, key };
}

function names(patterns: readonly string[], name: string): boolean {
  let found = false;
  for (const pattern of patterns) {
    if (pattern.startsWith('!')) {
      if (matches(pattern.slice(1), name)) return false;
    } else if (matches(pattern, name)) {
      found = true;
    }
  }
  return found;
}

function matches(pattern: string, name: string): boolean {
  const hashed = /^\|1\|([A-Za-z0-9+/=]+)\|([A-Za-z0-9+/=]+)$/.exec(pattern);
  if (hashed) {
    const [, salt = '', hash] = hashed;
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash;
  }
  const literal = pattern.toLowerCase().replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${literal.replace(/\*/g, '.*').replace(/\?/g, '.')}$`).test(name);
}
