import { codeOfExit, readExitCode } from './exit-codes';
import { DIALECTS } from './facts';

describe('readExitCode', () => {
  it.each([
    ['legacy', ['done', 'failed', 'failed', 'needs-cleanup', 'failed', 'failed', 'failed', 'unknown', 'unknown']],
    ['seed', ['done', 'failed', 'failed', 'needs-cleanup', 'failed', 'failed', 'failed', 'unknown', 'unknown']],
    [
      'mid',
      [
        'done',
        'failed',
        'failed',
        'needs-cleanup',
        'incremental-unsupported',
        'bitmap-not-seeded',
        'failed',
        'unknown',
        'unknown',
      ],
    ],
    ['final', ['done', 'failed', 'failed', 'needs-cleanup', 'failed', 'failed', 'failed', 'unknown', 'unknown']],
  ] as const)('%s', (dialect, meanings) => {
    expect([0, 1, 2, 20, 21, 22, 32, -1, null].map((code) => readExitCode(dialect, code))).toEqual(meanings);
  });
});

describe('codeOfExit', () => {
  it.each([
    [1, 'script-failed', 'silent-failure'],
    [3, 'script-failed', 'silent-failure'],
    [20, 'cleanup-failed', 'cleanup-failed'],
    [21, 'incremental-unsupported', 'incremental-unsupported'],
    [22, 'bitmap-not-seeded', 'bitmap-not-seeded'],
    [32, 'mount-failed', 'mount-failed'],
    [125, 'script-failed', 'silent-failure'],
    [126, 'script-missing', 'script-missing'],
    [127, 'script-missing', 'script-missing'],
    [128, 'script-failed', 'silent-failure'],
    [129, 'script-killed', 'script-killed'],
    [143, 'script-killed', 'script-killed'],
  ])('exit %i with words is %s, without %s', (exitCode, words, silence) => {
    for (const dialect of DIALECTS) {
      expect([codeOfExit(dialect, exitCode, false), codeOfExit(dialect, exitCode, true)]).toEqual([words, silence]);
    }
  });

  it('exit 2 without a word is a libvirt or QEMU too old, but the legacy script knows no such end', () => {
    expect(DIALECTS.map((dialect) => codeOfExit(dialect, 2, true))).toEqual([
      'silent-failure',
      'version-too-old',
      'version-too-old',
      'version-too-old',
    ]);
    expect(DIALECTS.map((dialect) => codeOfExit(dialect, 2, false))).toEqual(DIALECTS.map(() => 'script-failed'));
  });
});
