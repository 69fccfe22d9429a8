import type { Secrets } from '../domain/agent/build-argv';

/** Takes the secrets out of a text that others will read, should a program on the host have repeated them. */
export function redact(text: string, secrets: Secrets | undefined): string {
  if (secrets === undefined) return text;
  const options = (secrets.mountOptions ?? '').split(',').filter((option) => option.includes('='));
  const values = options.map((option) => option.slice(option.indexOf('=') + 1));
  return [secrets.mountOptions, secrets.credentials?.password, ...values]
    .filter((value): value is string => value !== undefined && value !== '')
    .sort((a, b) => b.length - a.length)
    .reduce((out, value) => out.replaceAll(value, '***'), text);
}
