import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { parseOutputCommand } from './parse-output';
import { adopt } from './program';

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code of the command; commander's own refusals throw, and src/cli.ts ends them with 2. */
  readonly exit: number | 'usage';
}

async function run(args: readonly string[], stdin: string | Uint8Array = '5\n'): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  const io = { read: async () => Buffer.from(stdin), write: (text: string) => void (stdout += text) };
  const listen = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += String(text);
    return true;
  });
  const program = new Command('chainkeeper').exitOverride();
  adopt(program, parseOutputCommand(io));
  try {
    await program.parseAsync(['parse-output', ...args], { from: 'user' });
    return { stdout, stderr, exit: Number(process.exitCode) };
  } catch (error) {
    expect((error as { code: string }).code).toMatch(/^commander\./);
    return { stdout, stderr, exit: 'usage' };
  } finally {
    listen.mockRestore();
    process.exitCode = 0;
  }
}

const SEED = ['--dialect', 'seed', '--vm-state', 'running'];

describe('parse-output', () => {
  it('prints one JSON object with exactly the promised fields on one line', async () => {
    const stdin = 'Job type:         Completed   \n\n24696061952\nBITMAP_CREATED=backup-1777300200\nX=a\u2028é\n';
    const { stdout, stderr, exit } = await run(SEED, stdin);
    expect([stderr, exit]).toEqual(['', 0]);
    expect(stdout.split('\n')).toEqual([expect.any(String), '']);
    expect(Object.entries(JSON.parse(stdout))).toEqual([
      ['result', true],
      ['size', 24696061952],
      ['bitmapCreated', 'backup-1777300200'],
      ['bitmapRecreated', null],
      ['incrementalFallback', false],
      ['needsCleanup', false],
      ['details', stdin.trim()],
      ['code', null],
      ['exitCode', 0],
      ['warnings', ['unknown-marker: X=a\u2028é']],
      ['facts', null],
    ]);
  });

  it.each([
    [['--exit-code', '20'], { result: false, exitCode: 20, needsCleanup: true }],
    [['--exit-code', '0'], { result: true, exitCode: 0 }],
    [[], { result: true, exitCode: 0 }],
    [['--exit-code', '-1'], { result: false, exitCode: -1, code: 'outcome-unknown' }],
    [['--exit-code', 'unknown'], { result: false, exitCode: null, code: 'outcome-unknown' }],
    [['--exit-code', '255'], { result: false, exitCode: 255 }],
    [['--json'], { result: true }],
  ])('reaches a verdict with %j, also when it is a failure', async (args, expected) => {
    const { stdout, exit } = await run([...SEED, ...args]);
    expect(JSON.parse(stdout)).toMatchObject(expected);
    expect(exit).toBe(0);
  });

  it('counts the disks of a stopped VM', async () => {
    const args = ['--dialect', 'final', '--vm-state', 'stopped', '--disks'];
    expect(JSON.parse((await run([...args, '2'], '5\n6\n')).stdout)).toMatchObject({ result: true, size: 11 });
    expect(JSON.parse((await run([...args, '3'], '5\n6\n')).stdout)).toMatchObject({ result: false, code: 'size-count' });
  });

  it('reads stderr from a file, and says why there is none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'parse-output-'));
    try {
      const file = join(folder, 'stderr');
      writeFileSync(file, Buffer.concat([Buffer.from('error: Domain not found\n'), Buffer.of(0xff)]));
      const found = await run([...SEED, '--exit-code', '1', '--stderr-file', file], '');
      expect(JSON.parse(found.stdout)).toMatchObject({
        code: 'guest-gone',
        warnings: ['not-utf8: stderr holds bytes that are no UTF-8; they were replaced', 'guest-gone: error: Domain not found'],
      });
      const missing = await run([...SEED, '--stderr-file', join(folder, 'none')]);
      expect(missing).toEqual({
        stdout: '',
        exit: 2,
        stderr: expect.stringContaining('(ENOENT). (parse-output.stderr-file)') as string,
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('replaces what is no UTF-8, and says so', async () => {
    const { stdout, exit } = await run(
      SEED,
      Buffer.concat([Buffer.from('mount: '), Buffer.of(0xc3, 0x28), Buffer.from('\n5\n')]),
    );
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      result: true,
      size: 5,
      details: 'mount: \ufffd(\n5',
      warnings: ['not-utf8: stdout holds bytes that are no UTF-8; they were replaced'],
    });
  });

  it.each([
    [['--vm-state', 'running']],
    [['--dialect', 'seed']],
    [['--dialect', 'other', '--vm-state', 'running']],
    [['--dialect', 'seed', '--vm-state', 'paused']],
    [[...SEED, '--exit-code', '256']],
    [[...SEED, '--exit-code', '-2']],
    [[...SEED, '--exit-code', '1.5']],
    [[...SEED, '--exit-code', '']],
    [[...SEED, '--exit-code', '0x1']],
    [[...SEED, '--disks', '0']],
    [[...SEED, '--disks', '-1']],
    [[...SEED, '--disks', 'two']],
    [[...SEED, '--disks', '10000']],
    [[...SEED, '--what']],
    [[...SEED, 'more']],
  ])('%j is a wrong call, and prints nothing on stdout', async (args) => {
    const { stdout, stderr, exit } = await run(args);
    expect([stdout, exit]).toEqual(['', 'usage']);
    expect(stderr).toMatch(/^error: /);
  });
});
