import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  });

  it('never describes a secret', () => {
    const described = describeConfig(loadConfig({ CHAINKEEPER_API_TOKEN: token, CHAINKEEPER_DB_PASSWORD: 'hunter22' }));
    expect(JSON.stringify(described)).not.toMatch(/hunter22|xxxx/);
    expect(described.find(({ env }) => env === 'CHAINKEEPER_API_TOKEN')?.value).toBe('(set)');
  });

  it('does not echo a secret in a problem', () => {
    expect(JSON.stringify(problemsOf({ CHAINKEEPER_API_TOKEN: 'short-secret' }))).not.toContain('short-secret');
  });
});
