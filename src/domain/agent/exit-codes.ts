import { type Dialect } from './facts';

/** What an exit code says by itself, before a word of the output is read. */
export type ExitMeaning =
  | 'done'
  /** The backup failed and so did taking it back: something is left on the host or the NAS. */
  | 'needs-cleanup'
  /** An incremental cannot be taken; the same is to be asked for again as a full. */
  | 'incremental-unsupported'
  /** The data is good, but there is no bitmap for a next incremental. */
  | 'bitmap-not-seeded'
  | 'failed'
  /** Nobody saw the end. The script may still be writing. */
  | 'unknown';

/**
 * Reads an exit code.
 * @param exitCode null when it was lost; CloudStack's agent says -1 when it stopped waiting, and does not stop the script.
 */
export function readExitCode(dialect: Dialect, exitCode: number | null): ExitMeaning {
  if (exitCode === null || exitCode < 0) return 'unknown';
  if (exitCode === 0) return 'done';
  if (exitCode === 20) return 'needs-cleanup';
  // Declared in the seed, but only ever used in the months after it.
  if (dialect === 'mid' && exitCode === 21) return 'incremental-unsupported';
  if (dialect === 'mid' && exitCode === 22) return 'bitmap-not-seeded';
  return 'failed';
}

/**
 * The code of a failure about which the output says nothing that we know.
 * @param silent the script said nothing at all on stdout.
 */
export function codeOfExit(dialect: Dialect, exitCode: number, silent: boolean): string {
  if (exitCode === 20) return 'cleanup-failed';
  if (exitCode === 21) return 'incremental-unsupported';
  if (exitCode === 22) return 'bitmap-not-seeded';
  // mount's own code: the stock scripts pass it on, and print nothing of their own.
  if (exitCode === 32) return 'mount-failed';
  // libvirt or QEMU too old: the stock scripts end without a word.
  if (exitCode === 2 && silent && dialect !== 'legacy') return 'version-too-old';
  if (exitCode === 126 || exitCode === 127) return 'script-missing';
  if (exitCode > 128) return 'script-killed';
  return silent ? 'silent-failure' : 'script-failed';
}
