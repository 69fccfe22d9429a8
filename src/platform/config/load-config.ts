import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { validateSync } from 'class-validator';
import { UserError } from '../../domain/errors';
import { BooksConfig } from './database.config';
import { EngineConfig } from './engine.config';
import { HttpConfig } from './http.config';
import { LogConfig } from './log.config';
import { RedisConfig } from './redis.config';
import { type SettingSpec, settingsOf } from './setting';
import { SshConfig } from './ssh.config';

/** All settings, one documented class per concern. */
export class Config {
  readonly http = new HttpConfig();
  readonly books = new BooksConfig();
  readonly engine = new EngineConfig();
  readonly redis = new RedisConfig();
  readonly ssh = new SshConfig();
  readonly log = new LogConfig();
}

type Environment = Readonly<Record<string, string | undefined>>;

/** One setting of a config: its place, its spec and its value now. */
export interface EffectiveSetting {
  readonly spec: SettingSpec;
  readonly section: keyof Config;
  readonly field: string;
  readonly value: unknown;
}

/** Every setting with its value, in the order of the classes. */
export function effectiveSettings(config: Config): EffectiveSetting[] {
  return (Object.keys(config) as (keyof Config)[]).flatMap((section) =>
    [...settingsOf(Object.getPrototypeOf(config[section]) as object)].map(([field, spec]) => ({
      spec,
      section,
      field,
      value: (config[section] as unknown as Record<string, unknown>)[field],
    })),
  );
}

/** Loopback needs no token: whoever is on this machine could read the books anyway. */
export const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));

function rawValue(spec: SettingSpec, environment: Environment, problems: string[]): string | undefined {
  const file = environment[`${spec.env}_FILE`];
  const value = environment[spec.env];
  if (file === undefined) return value;
  if (value !== undefined) {
    problems.push(`${spec.env} and ${spec.env}_FILE are both set; keep one`);
    return undefined;
  }
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    problems.push(`${spec.env}_FILE: ${(error as Error).message}`);
    return undefined;
  }
}

function parse(spec: SettingSpec, text: string, problems: string[]): unknown {
  switch (spec.as ?? 'text') {
    case 'text':
      return text;
    case 'integer':
      if (/^-?\d{1,15}$/.test(text)) return Number(text);
      problems.push(`${spec.env} must be a whole number, not ${spec.secret ? 'what it is' : JSON.stringify(text)}`);
      return undefined;
    case 'boolean':
      if (text === 'true' || text === 'false') return text === 'true';
      problems.push(`${spec.env} must be true or false, not ${JSON.stringify(text)}`);
      return undefined;
  }
}

function unknownVariables(environment: Environment, known: ReadonlySet<string>): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('CHAINKEEPER_') && !known.has(name) && !name.startsWith('CHAINKEEPER_TEST_'))
    .map((name) => `${name} is no setting of Chainkeeper; "chainkeeper config" lists them all`);
}

function rulesAcrossFields(config: Config): string[] {
  const problems: string[] = [];
  // A worker answers nothing but whether it is well.
  if (config.engine.role !== 'worker' && !isLoopback(config.http.address) && config.http.token === undefined)
    problems.push(
      `CHAINKEEPER_HTTP_ADDRESS is ${config.http.address}, which others can reach: set CHAINKEEPER_API_TOKEN (or _FILE) or listen on 127.0.0.1`,
    );
  if (config.engine.role !== 'all' && config.books.kind === 'sqlite')
    problems.push(
      `CHAINKEEPER_ROLE is ${config.engine.role}, and the books are a SQLite file, which one process serves alone: set CHAINKEEPER_DB_KIND to mariadb or mysql, or leave the role out`,
    );
  return problems;
}

/**
 * Reads and validates all settings from the environment.
 * @throws UserError `config.invalid` that lists every problem at once; the service must not start then.
 */
export function loadConfig(environment: Environment): Config {
  const config = new Config();
  const problems: string[] = [];
  const known = new Set<string>(['CHAINKEEPER_URL']);
  for (const { spec, section, field } of effectiveSettings(config)) {
    known.add(spec.env).add(`${spec.env}_FILE`);
    const raw = rawValue(spec, environment, problems);
    if (raw === undefined) continue;
    const value = parse(spec, raw, problems);
    if (value !== undefined) (config[section] as unknown as Record<string, unknown>)[field] = value;
  }
  problems.push(...unknownVariables(environment, known));
  for (const section of Object.values(config) as object[])
    for (const error of validateSync(section)) {
      const env = settingsOf(Object.getPrototypeOf(section) as object).get(error.property)?.env ?? error.property;
      problems.push(`${env}: ${Object.values(error.constraints ?? {}).join(', ')}`);
    }
  problems.push(...rulesAcrossFields(config));
  if (problems.length > 0)
    throw new UserError(
      'config.invalid',
      'invalid',
      `The configuration has ${problems.length} problem(s):\n  ${problems.join('\n  ')}`,
      {
        next: 'Correct the environment variables and start again; nothing was started.',
        facts: { problems },
      },
    );
  return config;
}

/** The effective settings for people: secrets are shown only as set or unset. */
export function describeConfig(config: Config): { env: string; value: unknown; help: string }[] {
  return effectiveSettings(config).map(({ spec, value }) => ({
    env: spec.env,
    value: spec.secret ? (value ? '(set)' : '(unset)') : (value ?? null),
    help: spec.help,
  }));
}
