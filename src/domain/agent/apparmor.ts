/** What AppArmor does on a host, as our script sees it. */
export interface AppArmorFacts {
  /** `unused`: it is active, and libvirt leaves its machines alone. */
  readonly state: 'disabled' | 'unused' | 'confining';
  /** Of machines that run, as the kernel lists them: `libvirt-<uuid> (enforce)`. */
  readonly profiles: readonly string[];
  /** Directories that QEMU writes a backup to. */
  readonly writes: readonly string[];
  /** The rules that libvirt gives every machine, by their path below /etc/apparmor.d. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

/** Whether QEMU may write where a backup goes. */
export interface AppArmorVerdict {
  /** Directories in which QEMU may not do what it does to a file there. */
  readonly closed: readonly string[];
  /** Where a rule of one's own is read, relative to /etc/apparmor.d. */
  readonly file: string;
}

/** All of a machine's profile starts here: libvirt makes it of this file. */
const TEMPLATE = 'libvirt/TEMPLATE.qemu';
const ABSTRACTION = 'abstractions/libvirt-qemu';
/** In the order of preference: the first came with AppArmor 3, the second is what came before. */
const OWN_PLACES = ['abstractions/libvirt-qemu.d', 'local/abstractions/libvirt-qemu'];

/** QEMU makes the file, reads it back, and locks it. */
const NEEDED = ['r', 'w', 'k'] as const;

const INCLUDE = /^#?include\s+(?:if\s+exists\s+)?[<"]([^>"]+)[>"]/;
const LEADING = /^((?:(?:audit|allow|deny|owner|other|file)\s+)*)/;
const PATH_FIRST = /^("[^"]+"|[/@{]\S*)\s+(?:->\s*\S+\s+)?([rwalkmixpucPUC]+)\s*(?:->.*)?,/;
const PERMISSIONS_FIRST = /^([rwalkmixpucPUC]+)\s+("[^"]+"|[/@{]\S*?)\s*,/;

interface Rule {
  readonly deny: boolean;
  readonly matches: RegExp;
  readonly permissions: string;
}

/**
 * Reads from the rules of AppArmor whether QEMU may write a backup. What libvirt itself adds to the profile of a machine is not counted:
 * it knows the disks of a machine, and not always the files of a backup.
 */
export function judgeAppArmor({ writes, files }: AppArmorFacts): AppArmorVerdict {
  const texts = new Map(files.map(({ path, text }) => [path, text]));
  const included = new Set<string>();
  const asked = new Set<string>();
  const rules = [TEMPLATE, ABSTRACTION].flatMap((path) => rulesOf(path, texts, included, asked));
  const closed = writes.filter((directory) => {
    const file = `${directory}/i-2-3-VM/2026.01.01.00.00.00/root.0a1b2c3d.qcow2`;
    const about = rules.filter(({ matches }) => matches.test(file));
    return !NEEDED.every(
      (permission) =>
        about.some((rule) => !rule.deny && rule.permissions.includes(permission)) &&
        !about.some((rule) => rule.deny && rule.permissions.includes(permission)),
    );
  });
  const place = OWN_PLACES.find((path) => asked.has(path)) ?? ABSTRACTION;
  return { closed, file: place === OWN_PLACES[0] ? `${place}/chainkeeper` : place };
}

/** The rules of a file and of what it includes; what is not known of has none. */
function rulesOf(path: string, texts: ReadonlyMap<string, string>, included: Set<string>, asked: Set<string>): Rule[] {
  asked.add(path);
  if (included.has(path)) return [];
  included.add(path);
  const text = texts.get(path);
  // A directory is included file by file.
  if (text === undefined)
    return [...texts.keys()]
      .filter((file) => file.startsWith(`${path}/`))
      .flatMap((file) => rulesOf(file, texts, included, asked));
  return text.split('\n').flatMap((line) => {
    const trimmed = line.trim();
    const more = INCLUDE.exec(trimmed)?.[1];
    if (more !== undefined) return rulesOf(more.replace(/^\/etc\/apparmor\.d\//, ''), texts, included, asked);
    const rule = readRule(trimmed);
    return rule === null ? [] : [rule];
  });
}

/** A rule about files; any other line is none. A rule for files of the process's own user is not counted: a NAS may give them to another. */
function readRule(line: string): Rule | null {
  if (line.startsWith('#')) return null;
  const words = LEADING.exec(line)?.[1] ?? '';
  const rest = line.slice(words.length);
  const first = PATH_FIRST.exec(rest);
  const [path, permissions] = first
    ? [first[1], first[2]]
    : [PERMISSIONS_FIRST.exec(rest)?.[2], PERMISSIONS_FIRST.exec(rest)?.[1]];
  if (path === undefined || permissions === undefined) return null;
  const deny = /\bdeny\b/.test(words);
  if (!deny && /\b(owner|other)\b/.test(words)) return null;
  const matches = globToRegExp(path.replace(/^"|"$/g, ''));
  return matches === null ? null : { deny, matches, permissions };
}

/** AppArmor's globs: `*` and `?` stay within a directory, `**` does not. Null: it holds a variable or is none. */
function globToRegExp(glob: string): RegExp | null {
  if (glob.includes('@{')) return null;
  let depth = 0;
  const pattern = glob.replaceAll(/\*\*|\\.|\[\^?[^\]]*\]|[*?{},.+^$|()\\]/g, (token) => {
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token === '{') return ((depth += 1), '(?:');
    if (token === '}') return ((depth -= 1), ')');
    if (token === ',' && depth > 0) return '|';
    return token.startsWith('[') || token.length > 1 ? token : `\\${token}`;
  });
  try {
    return new RegExp(`^${pattern}$`);
  } catch {
    return null;
  }
}
