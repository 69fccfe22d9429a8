interface FailureText {
  /** Stable. */
  readonly code: string;
  readonly pattern: RegExp;
  /** The script itself says that the backup's data is not there: true whatever its exit code claims. */
  readonly fatal?: true;
}

/**
 * What scripts and tools say when something fails, causes before consequences: a full NAS ends in a failed job, and the
 * full NAS is what an operator can do something about.
 */
const FAILURE_TEXTS: readonly FailureText[] = [
  { code: 'target-full', pattern: /No space left on device|Disk quota exceeded/i },
  { code: 'target-exists', pattern: /store '.*' for backup of '.*' exists/ },
  { code: 'guest-gone', pattern: /Domain not found|failed to get domain|domain is not running/i },
  { code: 'job-busy', pattern: /cannot acquire state change lock|another job is already|existing block job/i },
  { code: 'bad-option', pattern: /^Invalid option: /, fatal: true },
  { code: 'bad-option', pattern: /^(?:Unknown (?:backup )?mode: |(?:incremental|full) mode requires )/, fatal: true },
  { code: 'bad-option', pattern: /PARENT_PATHS list shorter than DISK_PATHS/, fatal: true },
  { code: 'parent-missing', pattern: /^Parent backup file does not exist on NAS/, fatal: true },
  { code: 'recreate-failed', pattern: /^Failed to recreate parent bitmap/, fatal: true },
  { code: 'bitmap-broken', pattern: /missing or broken bitmap/ },
  { code: 'preseed-failed', pattern: /^Failed to pre-seed bitmap/ },
  { code: 'rebase-failed', pattern: /^qemu-img rebase failed/, fatal: true },
  { code: 'convert-failed', pattern: /^qemu-img convert failed/, fatal: true },
  { code: 'thaw-failed', pattern: /^Failed to thaw the filesystem/ },
  { code: 'job-failed', pattern: /^Virsh backup job failed/, fatal: true },
  { code: 'mount-failed', pattern: /^Failed to mount .* store/, fatal: true },
  {
    code: 'mount-failed',
    pattern: /^mount error|^mount(?:\.\w+)?: .*(?:denied|fail|refused|not |timed out|unknown|wrong|bad |No |can't)/,
  },
  { code: 'job-cancelled', pattern: /^Stopped before it began/ },
  { code: 'resume-failed', pattern: /^Failed to resume VM/ },
  {
    code: 'cleanup-failed',
    pattern: /^Backup cleanup failed|^Failed to (?:delete|unmount|remove mount point) |^umount(?:\.\w+)?: /,
  },
  { code: 'script-missing', pattern: /^sudo: .*command not found/ },
  { code: 'sudo-refused', pattern: /^sudo: |^Sorry, user / },
  { code: 'virsh-failed', pattern: /^error: / },
];

/** A failure that the output names. */
export interface Failure {
  /** Stable. */
  readonly code: string;
  /** The line that says so. */
  readonly line: string;
}

function find(lines: readonly string[], texts: readonly FailureText[]): Failure | null {
  for (const { code, pattern } of texts) {
    const line = lines.find((text) => pattern.test(text));
    if (line !== undefined) return { code, line };
  }
  return null;
}

/** The cause of a failure as far as the output names it; null when it says nothing that we know. */
export const findFailure = (lines: readonly string[]): Failure | null => find(lines, FAILURE_TEXTS);

/** What the script said after which there is no backup, whatever else it printed; null when it said nothing of that kind. */
export const findFatalFailure = (lines: readonly string[]): Failure | null =>
  find(
    lines,
    FAILURE_TEXTS.filter(({ fatal }) => fatal === true),
  );
