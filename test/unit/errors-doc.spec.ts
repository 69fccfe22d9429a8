import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodeOf } from '../../src/cli/exit-code';
import { type ChainkeeperError, type ErrorKind, InvariantError, OperationalError, UserError } from '../../src/domain/errors';
import { statusOf } from '../../src/platform/problem';

const ROOT = join(__dirname, '../..');
const text = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const sources = ['src', 'migrations']
  .flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)))
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.spec.ts') && !path.startsWith('src/hosts/fake/'));

/** Codes that are put together where they are thrown. A new place of that kind fails the test below until it is listed here. */
const COMPOSED: Readonly<Record<string, readonly string[]>> = {
  'src/database/repositories/live-rows.ts': ['taken', 'in-use'],
  'src/domain/agent/names.ts': ['name.*'],
  'src/engine/planner.ts': ['refusals of the decision'],
  'src/hosts/ssh/host-key.ts': ['host.key-*'],
  'src/platform/found.ts': ['*.not-found'],
};

/** Every code that the sources throw, with one error of its family and kind. */
function thrown(): Map<string, ChainkeeperError> {
  const found = new Map<string, ChainkeeperError>();
  const add = (code: string, family: string, kind: string): void => {
    if (family === 'InvariantError') found.set(code, new InvariantError(code, 'x'));
    else if (family === 'OperationalError') found.set(code, new OperationalError(code, kind as 'failed', 'x'));
    else found.set(code, new UserError(code, kind as 'invalid', 'x'));
  };
  for (const path of sources) {
    const source = text(path);
    for (const [, family = '', code = '', kind = ''] of source.matchAll(
      /new (UserError|OperationalError|InvariantError)\(\s*'([^']+)',\s*'?([a-z-]*)/g,
    ))
      add(code, family, kind);
    for (const [, code = '', kind = ''] of source.matchAll(/\brefusal\(\s*'([^']+)',\s*'([a-z-]+)'/g))
      add(code, 'UserError', kind);
    for (const [, code = ''] of source.matchAll(/'([a-z]+\.(?:name-taken|in-use))'/g))
      if (code !== 'database.in-use') add(code, 'UserError', 'conflict');
    for (const [, area = ''] of source.matchAll(/\bfound\([^;]*?'([a-z]+)',/g))
      add(`${area}.not-found`, 'UserError', 'not-found');
  }
  const kinds = [...text('src/domain/agent/names.ts').matchAll(/^ {2}([a-z]+): \{\n {4}what:/gm)].map(([, kind]) => kind ?? '');
  for (const kind of kinds) add(`name.${kind}`, 'UserError', 'invalid');
  for (const verdict of ['unknown', 'changed', 'revoked']) add(`host.key-${verdict}`, 'UserError', 'refused' satisfies ErrorKind);
  return found;
}

const rows = (part: string): string[][] =>
  part
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );

describe('docs/errors.md', () => {
  const [errors = '', runs = ''] = text('docs/errors.md').split('## Of runs');

  it('lists every code that is thrown and no other, with its family, HTTP status and exit code', () => {
    const expected = [...thrown()].map(([code, error]) => [
      code,
      error.family,
      String(statusOf(error)),
      String(exitCodeOf(error)),
    ]);
    expect(rows(errors).map((row) => row.slice(0, 4))).toEqual(expected.sort(([a = ''], [b = '']) => (a < b ? -1 : 1)));
    expect(expected.length).toBeGreaterThan(80);
  });

  it('says of each what it means and what to do', () => {
    expect(rows(errors).filter(([, , , , meaning, todo]) => !meaning || !todo)).toEqual([]);
    expect(rows(runs).filter(([, meaning]) => !meaning)).toEqual([]);
  });

  it('knows of every place where a code is put together', () => {
    const places = sources.filter((path) => /new (?:UserError|OperationalError|InvariantError)\(\s*[^'\s]/.test(text(path)));
    expect(places.sort()).toEqual(Object.keys(COMPOSED).sort());
  });

  it('lists every code of a run', () => {
    const from: readonly [string, RegExp][] = [
      ['src/domain/agent/failure-texts.ts', /code: '([a-z-]+)'/g],
      ['src/domain/agent/judge-run.ts', /code: '([a-z-]+)'/g],
      ['src/domain/agent/exit-codes.ts', /(?:return|\?|:) '([a-z]+-[a-z-]+)'/g],
      ['src/domain/agent/read-size.ts', /'(size-[a-z-]+)'/g],
      ['src/domain/chain/check-run.ts', /fault\(\s*'([a-z-]+)'/g],
      ['src/domain/chain/settle-backup.ts', /code: '([a-z-]+)'|\?\? '([a-z-]+)';/g],
      ['src/domain/restore/settle-restore.ts', /failed\('([a-z-]+)'/g],
      ['src/domain/chain/settle-lost.ts', /code: '([a-z-]+)'/g],
      ['src/engine/job-driver.ts', /markUnknown\(claim, '([a-z-]+)'/g],
      ['src/runs/runs.service.ts', /errorCode: '([a-z.-]+)'/g],
    ];
    const codes = new Set(from.flatMap(([path, pattern]) => [...text(path).matchAll(pattern)].map(([, a, b]) => a ?? b ?? '')));
    // Those of a restore are the host script's own words; its page lists them.
    const [, ofRestores = ''] = /^Codes of refusal: ([^]*?)\n\n/m.exec(text('agent/README.md')) ?? [];
    for (const [, code = ''] of ofRestores.matchAll(/`([a-z]+-[a-z-]+)`/g)) codes.add(code);
    // What an exit code means is no code of a failure.
    codes.delete('needs-cleanup');
    expect(rows(runs).map(([code]) => code)).toEqual([...codes].sort());
  });
});
