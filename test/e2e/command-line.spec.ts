import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { bin: Record<string, string> };
const COMMAND = join(ROOT, Object.values(bin)[0] ?? '');

const call = (args: readonly string[], stdin: string | Buffer = '') =>
  spawnSync(process.execPath, [COMMAND, ...args], { input: stdin, encoding: 'utf8', maxBuffer: 2 ** 28 });

const JOB = 'Job type:         Completed   \nOperation:        Backup      \nFile total:       23.000 GiB\n\n';
const SEED = `${JOB}24696061952\nBITMAP_CREATED=backup-1777300200\n`;
const KEYS = [
  ...['result', 'size', 'bitmapCreated', 'bitmapRecreated', 'incrementalFallback', 'needsCleanup', 'details'],
  ...['code', 'exitCode', 'warnings', 'facts'],
];
const FAILED = { result: false, size: null, bitmapCreated: null };

// The command as installed, a process each; src/domain/agent/parse-output.spec.ts has the whole of the rules.
describe('chainkeeper, as installed', () => {
  it.each<[string, string, string | Buffer, object]>([
    ['a seed run', 'seed running', SEED, { result: true, size: 24696061952, bitmapCreated: 'backup-1777300200' }],
    [
      'markers anywhere, CR LF, no last newline, and a busy unmount after good data',
      'seed running --exit-code 32',
      'BITMAP_CREATED=backup-2\r\nmount: odd\r\nBITMAP_RECREATED=backup-1\r\n\r\n5\r\nX=1\r\nINCREMENTAL_FALLBACK=',
      {
        ...{ result: true, size: 5, bitmapCreated: 'backup-2', bitmapRecreated: 'backup-1' },
        ...{ incrementalFallback: true, needsCleanup: true, exitCode: 32, code: null },
        warnings: ['unknown-marker: X=', 'cleanup-failed: '].map((start): unknown => expect.stringContaining(start)),
      },
    ],
    ['noise before the sizes of a stopped VM', 'mid stopped --disks 2', 'mount: 3 odd\n\n5\n6\n', { result: true, size: 11 }],
    ['noise after the first', 'final stopped', '5\nJul\n6\n', { ...FAILED, code: 'size-interrupted' }],
    ['one byte more than can be counted', 'legacy running', '9007199254740992\n', { ...FAILED, code: 'size-too-large' }],
    ['mid, to be run again', 'mid running --exit-code 21', 'x\n', { ...FAILED, incrementalFallback: true, exitCode: 21 }],
    ['an end that nobody saw', 'seed running --exit-code -1', JOB, { ...FAILED, code: 'outcome-unknown', exitCode: -1 }],
    ['nothing', 'final running --exit-code 20', '', { ...FAILED, needsCleanup: true, details: '' }],
    ['bytes that are no text', 'seed stopped', Buffer.of(0xff, 0, 0x0a, 0x35), { result: true, size: 5 }],
    ['much', 'seed running', 'mount: odd\n'.repeat(500_000) + SEED, { result: true, size: 24696061952 }],
  ])(
    'parse-output reads %s',
    (_what, options, stdin, expected) => {
      const [dialect = '', state = '', ...more] = options.split(' ');
      const { status, stdout, stderr } = call(['parse-output', '--dialect', dialect, '--vm-state', state, ...more], stdin);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const answer = JSON.parse(stdout) as object;
      expect(Object.keys(answer)).toEqual(KEYS);
      expect(answer).toMatchObject(expected);
    },
    120_000,
  );

  it.each([
    ['parse-output --dialect seed'],
    ['parse-output --dialect seed --vm-state running --exit-code x'],
    ['parse-output --dialect seed --vm-state running --stderr-file /none'],
    ['host add'],
    ['host add x --port ssh'],
    ['nothing of the kind'],
  ])('ends the wrong call "%s" with 2 and nothing on stdout', (line) => {
    expect(call(line.split(' '))).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(/^error: /) });
  });
});
