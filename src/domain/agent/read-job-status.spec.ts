import { readJobStatus } from './read-job-status';

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64');

const STATUS = {
  v: 1,
  job: 'run-1',
  state: 'done',
  exit: 0,
  started: '2026-04-27T13:45:00.123Z',
  ended: '2026-04-27T13:45:01.123Z',
  aborted: false,
  progress: { processed: 5, total: 10 },
  encoding: 'base64',
  stdout: base64('hello\n'),
  stdoutNext: 6,
  stdoutSize: 6,
  stderr: base64(Uint8Array.of(0xff, 0)),
  stderrNext: 2,
  stderrSize: 2,
};

const read = (value: unknown) => readJobStatus(JSON.stringify(value));

describe('readJobStatus', () => {
  it('reads a whole answer', () => {
    expect(read(STATUS)).toEqual({
      ok: true,
      warnings: [],
      value: {
        job: 'run-1',
        state: 'done',
        exit: 0,
        started: STATUS.started,
        ended: STATUS.ended,
        aborted: false,
        created: null,
        abort: null,
        progress: { processed: 5, total: 10 },
        stdout: Uint8Array.from(Buffer.from('hello\n')),
        stdoutNext: 6,
        stdoutSize: 6,
        stderr: Uint8Array.of(0xff, 0),
        stderrNext: 2,
        stderrSize: 2,
      },
    });
  });

  it('reads the short answer of start', () => {
    const reading = read({ v: 1, job: 'run-1', state: 'running', exit: null, created: true, progress: null });
    expect(reading).toMatchObject({ ok: true, warnings: [] });
    expect(reading).toHaveProperty('value.created', true);
    expect(reading).toHaveProperty('value.aborted', false);
    expect(reading).toHaveProperty('value.stdout', new Uint8Array());
    expect(reading).toHaveProperty('value.stdoutNext', 0);
    expect(reading).toHaveProperty('value.stderrNext', 0);
    expect(reading).toHaveProperty('value.stderrSize', null);
  });

  it('reads what abort did', () => {
    const abort = {
      how: 'term',
      libvirtJob: 'aborted',
      resumed: true,
      thawed: false,
      restore: 'rolled-back',
      left: ['mount /x'],
    };
    expect(read({ ...STATUS, abort })).toHaveProperty('value.abort', abort);
    expect(read({ ...STATUS, abort: {} })).toHaveProperty('value.abort', {
      how: null,
      libvirtJob: null,
      resumed: null,
      thawed: null,
      restore: null,
      left: [],
    });
  });

  it('takes a state that it does not know for unknown: its outcome has to be found out', () => {
    expect(read({ ...STATUS, state: 'paused', exit: null })).toMatchObject({ ok: true, value: { state: 'unknown' } });
    expect(read({ ...STATUS, state: null, exit: null })).toMatchObject({ ok: true, value: { state: 'unknown' } });
  });

  it.each(['running', 'unknown', 'absent'])('does not believe the exit code of a job that is %s', (state) => {
    expect(read({ ...STATUS, state })).toMatchObject({
      ok: true,
      value: { state, exit: null, job: 'run-1' },
      warnings: ['$.exit: of a job that is not done'],
    });
    expect(read({ ...STATUS, state, exit: null })).toMatchObject({ value: { exit: null }, warnings: [] });
  });

  it.each([
    [{ ...STATUS, job: null }, '$.job'],
    [{ ...STATUS, exit: '0' }, '$.exit'],
    [{ ...STATUS, stdout: 'not base64!' }, '$.stdout'],
    [{ ...STATUS, stdout: 'abc' }, '$.stdout'],
    [{ ...STATUS, stdout: 'x=yz' }, '$.stdout'],
    [{ ...STATUS, stdout: '====' }, '$.stdout'],
    [{ ...STATUS, stdout: ' aGVs\n' }, '$.stdout'],
    [{ ...STATUS, stderr: 1 }, '$.stderr'],
    [{ ...STATUS, stdoutNext: -1 }, '$.stdoutNext'],
    [{ ...STATUS, progress: { processed: 'x' } }, '$.progress.processed'],
    [{ ...STATUS, aborted: 'no' }, '$.aborted'],
  ])('refuses %j', (value, path) => {
    expect(read(value)).toMatchObject({ ok: false, path });
  });
});
