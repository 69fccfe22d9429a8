import { UserError } from '../errors';
import { REPOSITORY_TYPES } from './mount-option-names';

interface Rule {
  readonly what: string;
  readonly pattern: RegExp;
  readonly longest: number;
  readonly example: string;
}

// A first character that is neither a dash (an option) nor a dot (`..`, hidden files) keeps every name harmless as an
// argument and as a part of a path. The host script checks against the same patterns again (agent/src/10-options.sh).
const SEGMENT = '[A-Za-z0-9_][A-Za-z0-9_.+@:-]*';

// Half a character (\p{Cs}) would come back from a database or a host as another one.
const RULES = {
  vm: {
    what: 'name of a virtual machine',
    pattern: new RegExp(`^${SEGMENT}$`),
    longest: 127,
    example: 'i-2-1234-VM',
  },
  bitmap: {
    what: 'name of a bitmap',
    pattern: /^backup-[0-9]{1,12}$/,
    longest: 19,
    example: 'backup-1777300200',
  },
  // What a host says that it made: another tool's pattern is no reason to drop a confirmation.
  checkpoint: {
    what: 'name of a checkpoint',
    pattern: new RegExp(`^${SEGMENT}$`),
    longest: 127,
    example: 'backup-1777300200',
  },
  path: {
    what: 'path on the NAS',
    pattern: new RegExp(`^${SEGMENT}(?:/${SEGMENT})*$`),
    longest: 1024,
    example: 'i-2-1234-VM/2026.04.27.13.45.00',
  },
  file: {
    what: 'name of a file',
    pattern: new RegExp(`^${SEGMENT}$`),
    longest: 255,
    example: 'root.0f5e7d3c.qcow2',
  },
  job: {
    what: 'id of a job',
    pattern: /^[A-Za-z0-9][A-Za-z0-9_-]*$/,
    longest: 64,
    example: '3f2c9a52-6f0e-4a39-9c57-2f1d8c7e0b11',
  },
  mount: {
    what: 'type of a repository',
    pattern: new RegExp(`^(?:${REPOSITORY_TYPES.join('|')})$`),
    longest: 4,
    example: 'nfs, cifs, ceph or dir',
  },
  address: {
    what: 'address of a repository',
    pattern: /^[^-\p{Cc}\p{Cs}][^\p{Cc}\p{Cs}]*$/u,
    longest: 1024,
    example: '10.1.1.1:/export/backup',
  },
  options: {
    what: 'list of mount options',
    pattern: /^(?:[^-\p{Cc}\p{Cs}][^\p{Cc}\p{Cs}]*)?$/u,
    longest: 1024,
    example: 'vers=4.2,soft',
  },
  target: {
    what: 'target of a disk',
    pattern: /^[a-z][a-z0-9]*$/,
    longest: 16,
    example: 'vda',
  },
  // Disk paths travel as a list with commas between them, so a comma in one would make two of it.
  disk: {
    what: 'path of a disk',
    pattern: /^\/[^,\p{Cc}\p{Cs}]*(?<!\/)$/u,
    longest: 4096,
    example: '/var/lib/libvirt/images/0f5e7d3c',
  },
  rbd: {
    what: 'RBD image',
    // No colon: what follows one is an option for librbd, a key among them.
    pattern: /^(?:rbd:)?[A-Za-z0-9_][A-Za-z0-9_.+@-]*\/[A-Za-z0-9_][A-Za-z0-9_.+@-]*$/,
    longest: 255,
    example: 'pool/image',
  },
} as const satisfies Record<string, Rule>;

/** The kinds of name that leave the process for a host. */
export type NameKind = keyof typeof RULES;

/** Whether a text is a name of that kind, whole and as it stands. */
export function isName(kind: NameKind, text: string): boolean {
  const { pattern, longest } = RULES[kind];
  if (text.length > longest || !pattern.test(text)) return false;
  return kind !== 'disk' || !text.split('/').includes('..');
}

/**
 * The text, when it is a name of that kind.
 * @throws UserError `name.<kind>`; nothing was changed.
 */
export function checkName(kind: NameKind, text: string): string {
  if (isName(kind, text)) return text;
  const { what, longest, example } = RULES[kind];
  // Mount options can hold a password, so they are never shown.
  const shown = kind === 'options' ? '' : `: ${JSON.stringify(text.slice(0, 200))}`;
  throw new UserError(`name.${kind}`, 'invalid', `Not a valid ${what}${shown}.`, {
    next: `It looks like this: ${example}; at most ${longest} characters.`,
  });
}

/** A disk's source as the host script takes it: an absolute path (Linstor's device too) or an RBD image. @throws UserError `name.disk` */
export const checkDiskSource = (text: string): string => (isName('rbd', text) ? text : checkName('disk', text));
