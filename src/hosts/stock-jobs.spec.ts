import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JobStatus, readJobStatus } from '../domain/agent/read-job-status';
import type { HostAccess } from './host-access';
import { startStock, statusOfStock } from './stock-jobs';

/** The two shell programs, run here as they are run on a host. */
describe('the jobs that a plain shell keeps', () => {
  const home = mkdtempSync(join(tmpdir(), 'chainkeeper-home-'));
  const script = join(home, 'script');
  const env = { ...process.env, HOME: home };
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  const write = (text: string): void => {
    writeFileSync(script, `#!/bin/sh\n${text}\n`);
    chmodSync(script, 0o755);
  };
  const start = (jobId: string, ...argv: string[]): string[] =>
    startStock({ user: 'root' } as HostAccess, { path: script, beside: false }, { jobId, fence: 1, argv });
  const run = ([program = '', ...args]: string[]): string => execFileSync(program, args, { env, encoding: 'utf8' });
  const status = (jobId: string, stdoutFrom = 0): JobStatus => {
    const reading = readJobStatus(run(statusOfStock({ jobId, stdoutFrom })));
    if (!reading.ok) throw new Error(reading.message);
    expect(reading.warnings).toEqual([]);
    return reading.value;
  };
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
  const ended = (jobId: string): JobStatus => {
    for (;;) {
      const now = status(jobId);
      if (now.state !== 'running') return now;
    }
  };

  it('hand every argument on as it is, and keep both streams and the exit code', () => {
    write('printf "%s|" "$@"; echo oops >&2; exit 7');
    run(start('plain', '-m', '', `it's a "$HOME"`));
    const { state, exit, stdout, stderr } = ended('plain');
    expect([state, exit, text(stdout), text(stderr)]).toEqual(['done', 7, `-m||it's a "$HOME"|`, 'oops\n']);
  });

  it('start once, however often and by how many at once they are told', async () => {
    write(`echo ran >>${home}/runs; sleep 0.3`);
    const calls = Array.from({ length: 4 }, () => {
      const [program = '', ...args] = start('once');
      return new Promise((done) => spawn(program, args, { env, stdio: 'ignore' }).on('close', done));
    });
    expect(await Promise.all(calls)).toEqual([0, 0, 0, 0]);
    expect(ended('once').state).toBe('done');
    run(start('once'));
    expect(execFileSync('cat', [join(home, 'runs')], { encoding: 'utf8' })).toBe('ran\n');
  });

  it('give the output in pieces that follow each other while it grows', () => {
    write('i=0; while [ $i -lt 40000 ]; do echo "line $i"; i=$((i + 1)); done');
    run(start('long'));
    let all = '';
    for (let from = 0; ;) {
      const { state, stdout, stdoutNext, stdoutSize } = status('long', from);
      expect(stdoutNext).toBe(from + stdout.length);
      all += text(stdout);
      from = stdoutNext;
      if (state !== 'running' && stdoutNext === stdoutSize) break;
    }
    expect(all).toBe(Array.from({ length: 40_000 }, (_, index) => `line ${index}\n`).join(''));
  });

  it('call a job unknown that is gone without an exit code, and one that never was absent', () => {
    write('kill -9 $PPID');
    run(start('killed'));
    expect(ended('killed')).toMatchObject({ state: 'unknown', exit: null });
    expect(status('never')).toMatchObject({ state: 'absent', exit: null, stdoutNext: 0 });
  });

  it('let the script make files that others can pass through, and let nobody see what it printed', () => {
    write(`umask >${home}/umask`);
    run(start('umask'));
    ended('umask');
    expect(execFileSync('cat', [join(home, 'umask')], { encoding: 'utf8' })).toBe(
      execFileSync('sh', ['-c', 'umask'], { encoding: 'utf8' }),
    );
    expect(statSync(join(home, '.chainkeeper')).mode & 0o777).toBe(0o700);
  });
});
