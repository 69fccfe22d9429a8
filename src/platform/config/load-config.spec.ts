import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { UserError } from '../../domain/errors';
import { describeConfig, loadConfig } from './load-config';

const problemsOf = (environment: Record<string, string>): string[] => {
  try {
    loadConfig(environment);
  } catch (error) {
    return (error as UserError).facts['problems'] as string[];
  }
  return [];
};

const token = 'x'.repeat(32);

describe('loadConfig', () => {
  it('starts on embedded defaults with an empty environment', () => {
    const config = loadConfig({});
    expect(config.books.kind).toBe('sqlite');
    expect(config.http.address).toBe('127.0.0.1');
  });

  it('lists every problem at once and names the variables', () => {
    const problems = problemsOf({
      CHAINKEEPER_HTTP_PORT: 'eighty',
      CHAINKEEPER_DB_KIND: 'oracle',
      CHAINKEEPER_LEASE_SECONDS: '0',
      CHAINKEEPER_LOGLEVEL: 'info',
    });
    expect(problems).toHaveLength(4);
    for (const name of ['HTTP_PORT', 'DB_KIND', 'LEASE_SECONDS', 'LOGLEVEL'])
      expect(problems.some((problem) => problem.includes(`CHAINKEEPER_${name}`))).toBe(true);
  });

  it.each([['0.0.0.0'], ['::'], ['10.0.0.1'], ['backup.example']])('refuses to listen on %s without a token', (address) => {
    expect(problemsOf({ CHAINKEEPER_HTTP_ADDRESS: address })).toHaveLength(1);
    expect(problemsOf({ CHAINKEEPER_HTTP_ADDRESS: address, CHAINKEEPER_API_TOKEN: token })).toEqual([]);
  });

  it('reads a secret from a file, and refuses both forms together', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'chainkeeper-config-')), 'token');
    writeFileSync(file, `${token}\n`);
    expect(loadConfig({ CHAINKEEPER_API_TOKEN_FILE: file }).http.token).toBe(token);
    expect(problemsOf({ CHAINKEEPER_API_TOKEN_FILE: file, CHAINKEEPER_API_TOKEN: token })).toHaveLength(1);
    expect(problemsOf({ CHAINKEEPER_API_TOKEN_FILE: `${file}.none` })).toHaveLength(1);
    rmSync(dirname(file), { recursive: true });
  });

  it('never describes a secret', () => {
    const described = describeConfig(loadConfig({ CHAINKEEPER_API_TOKEN: token, CHAINKEEPER_DB_PASSWORD: 'hunter22' }));
    expect(JSON.stringify(described)).not.toMatch(/hunter22|xxxx/);
    expect(described.find(({ env }) => env === 'CHAINKEEPER_API_TOKEN')?.value).toBe('(set)');
  });

  it('does not echo a secret in a problem', () => {
    expect(JSON.stringify(problemsOf({ CHAINKEEPER_API_TOKEN: 'short-secret' }))).not.toContain('short-secret');
  });

  it('needs no token for a worker, which answers only whether it is well', () => {
    const worker = { CHAINKEEPER_ROLE: 'worker', CHAINKEEPER_DB_KIND: 'mariadb', CHAINKEEPER_HTTP_ADDRESS: '0.0.0.0' };
    expect(problemsOf(worker)).toEqual([]);
    expect(problemsOf({ ...worker, CHAINKEEPER_ROLE: 'api' })).toHaveLength(1);
    expect(problemsOf({ CHAINKEEPER_DB_KIND: 'mariadb', CHAINKEEPER_ROLE: 'boss' })).toEqual([
      expect.stringContaining('CHAINKEEPER_ROLE'),
    ]);
  });

  it.each(['api', 'worker'])('refuses the role %s on a SQLite file: nobody could be the other one', (role) => {
    expect(problemsOf({ CHAINKEEPER_ROLE: role })).toEqual([expect.stringContaining('CHAINKEEPER_DB_KIND')]);
  });

  it.each(['http://:hunter22@redis', 'hunter22', 'redis://', 'redis:// hunter22'])(
    'refuses %s as Redis, and repeats nothing of it',
    (CHAINKEEPER_REDIS_URL) => {
      const problems = problemsOf({ CHAINKEEPER_REDIS_URL });
      expect(problems).toEqual([expect.stringContaining('CHAINKEEPER_REDIS_URL: must begin with redis://')]);
      expect(problems.join()).not.toContain('hunter22');
    },
  );

  it('shows of the URL of Redis only that it is set', () => {
    const config = loadConfig({ CHAINKEEPER_REDIS_URL: 'rediss://user:hunter22@redis.example:6380/2' });
    expect(config.redis.url).toContain('hunter22');
    expect(JSON.stringify(describeConfig(config))).not.toContain('hunter22');
  });
});
