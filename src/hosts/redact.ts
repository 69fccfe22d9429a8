import type { Secrets } from '../domain/agent/build-argv';
import { partMountOptions } from '../domain/agent/mount-options';

/** Takes the secrets out of a text that others will read, should a program on the host have repeated them. */
export function redact(text: string, secrets: Secrets | undefined): string {
  if (secrets === undefined) return text;
  // Only what is secret: a text without its every `3` because of `vers=3` would help nobody.
  const { secret, credentials } = partMountOptions(secrets.mountOptions ?? '');
  const values = secret.map((option) => option.slice(option.indexOf('=') + 1));
  return [secrets.credentials?.password, credentials?.password, ...values]
    .filter((value): value is string => value !== undefined && value !== '')
    .sort((a, b) => b.length - a.length)
    .reduce((out, value) => out.replaceAll(value, '***'), text);
}
