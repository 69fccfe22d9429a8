/** How much a finding matters; `error`: backups fail or are worth less as long as it stands. */
export type Severity = 'ok' | 'warning' | 'error';

/** One thing that was looked at on a host. */
export interface HostFinding {
  /** Stable. */
  readonly code: string;
  readonly severity: Severity;
  /** The host, a repository or a VM. */
  readonly subject: string;
  readonly what: string;
  readonly why: string;
  /** What mends it, to be pasted into a shell, on the host (as root) or here; null: nothing to mend, or nothing that a command could. */
  readonly command: string | null;
}

/** An answer, or why there was none. */
export type Looked<T> =
  { readonly facts: T } | { readonly failed: { readonly code: string; readonly message: string; readonly next: string | null } };

interface Known {
  readonly severity: Severity;
  readonly why: string;
  readonly command: string | null;
}

/** What the host script calls a problem. */
const PROBLEMS: Readonly<Record<string, Known>> = {
  'version-too-old': { severity: 'error', why: 'Checkpoints and bitmaps need it; no backup is taken here.', command: 'apt-get install --only-upgrade libvirt-daemon-system qemu-system-x86' },
  'mount-private': { severity: 'error', why: 'QEMU lives in a mount namespace of its own and would not find the NAS.', command: 'mount --make-rshared /' },
  'mount-not-visible': { severity: 'error', why: 'QEMU writes a push itself and does not find the NAS.', command: 'mount --make-rshared /' },
  'nas-not-reachable': { severity: 'error', why: 'QEMU writes a push as that user: give others the x bit of the exported directory, and export it with no_root_squash, or all_squash to a user who may.', command: null },
  'nas-not-writable': { severity: 'error', why: 'Nothing can be stored there: export it with no_root_squash, or all_squash to a user who may write.', command: null },
  'nas-read-only': { severity: 'error', why: 'Nothing can be stored there.', command: null },
  'nas-full': { severity: 'error', why: 'A backup that finds no room fails, and a push pauses its guest.', command: null },
  'nas-not-readable': { severity: 'error', why: 'What cannot be read back restores nothing.', command: null },
  'nas-corrupts': { severity: 'error', why: 'Nothing that lies there can be relied on: look after the memory, the network and the disks of the NAS, and have its backups compared with their checksums.', command: null },
  'nas-hung': { severity: 'error', why: 'Whoever touches it waits with it: the guest with a push, the backup with a pull.', command: null },
  'nas-no-rename': { severity: 'error', why: 'A manifest takes its place by being renamed; without it a reader could find half of one.', command: null },
  'nas-no-sync': { severity: 'warning', why: 'A backup called good could be gone from its directory after a power cut of the NAS.', command: null },
  'nas-no-directories': { severity: 'error', why: 'Every backup has a directory of its own.', command: null },
  'left-behind': { severity: 'warning', why: 'It could not be taken away; a sweep tries again, and so does a check of the repository an hour later.', command: null },
  'nas-silent': { severity: 'warning', why: 'A NAS that does not tell its space cannot be kept from running full.', command: null },
  'qemu-user-unknown': { severity: 'warning', why: 'It has to be tried: QEMU writes a push as its own user.', command: null },
}; // prettier-ignore
const UNKNOWN_PROBLEM: Known = { severity: 'warning', why: 'The host script says so.', command: null };

/** The finding for a host, repository or VM that did not answer. */
export const unanswered = (subject: string, { code, message, next }: { readonly code: string; readonly message: string; readonly next: string | null }): HostFinding =>
  ({ code, severity: 'error', subject, what: message, why: `No backup goes through it like this.${next === null ? '' : ` ${next}`}`, command: null }); // prettier-ignore

/** The finding that something is as it should be. */
export const ok = (code: string, subject: string, what: string): HostFinding => ({
  code,
  severity: 'ok',
  subject,
  what,
  why: '',
  command: null,
});

/** The finding for what the host script calls a problem. */
export function fromProblem(
  subject: string,
  { code, message }: { readonly code: string; readonly message: string },
): HostFinding {
  return { code, subject, what: message, ...(PROBLEMS[code] ?? UNKNOWN_PROBLEM) };
}
