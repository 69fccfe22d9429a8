import { posix } from 'node:path';
import { quoteCommand } from '../domain/agent/quote';
import { OperationalError, UserError } from '../domain/errors';
import type { HostAccess } from './host-access';
import type { Installation, InstallRequest } from './host-client';
import type { RemoteResult, RemoteShell } from './remote-shell';
import type { HostScriptFile } from './script-file';

/**
 * Run as root with the target and the checksum; the script comes on stdin. The old file stays whole until the new one
 * is complete and on disk, and a run that has begun goes on with the one that it has open.
 */
export const INSTALL_PROGRAM = `set -eu
umask 022
target=$1 sum=$2 folder=\${1%/*}
mkdir -p -- "$folder"
new=$(mktemp -- "$folder/.nasbackup.XXXXXX")
trap 'rm -f -- "$new"' EXIT
cat >"$new"
printf '%s  %s\\n' "$sum" "$new" | sha256sum --check --quiet --strict -
chown 0:0 -- "$new"
chmod 0755 -- "$new"
sync -- "$new"
mv -fT -- "$new" "$target"
sync -- "$folder"`;

const PATH = /^(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+$/;
const USER = /^[a-z_][a-z0-9_-]{0,31}$/;
const DEADLINE_MS = 60_000;

/** Puts the host script on a host, or says what would be done. What lies there is told by its checksum. */
export async function installScript(
  shell: RemoteShell,
  host: HostAccess,
  { as = host.user, dryRun = false }: InstallRequest,
  script: HostScriptFile,
): Promise<Installation> {
  const path = checked(PATH, host.scriptPath, 'path for the host script');
  const sudoersLine = `${checked(USER, host.user, 'Linux user name')} ALL=(root) NOPASSWD: ${path}`;
  const admin = { ...host, user: checked(USER, as, 'Linux user name') };
  const run = async (who: HostAccess, argv: string[], stdin?: Buffer): Promise<RemoteResult> => {
    const result = await shell.run(who, { argv, deadlineMs: DEADLINE_MS, ...(stdin === undefined ? {} : { stdin }) });
    // What nobody saw the end of says nothing about what is there.
    if (result.exit === null)
      throw new OperationalError('host.outcome-unknown', 'unreachable', `The connection to ${host.name} was lost`);
    return result;
  };

  refuseUnsafe(path, await run(admin, ['stat', '-L', '-c', '%u %a %n', '--', ...ancestors(path)]));
  const before = await sumOf(run, admin, path);
  const changed = before !== script.sha256 || !(await isRoots(run, admin, path));
  if (changed && !dryRun) {
    const sudo = as === 'root' ? [] : ['sudo', '-n', '--'];
    const result = await run(admin, [...sudo, '/bin/sh', '-c', INSTALL_PROGRAM, 'sh', path, script.sha256], script.content);
    if (result.exit !== 0) throw installError(host, as, result, script, path, sudoersLine);
    const after = await sumOf(run, admin, path);
    if (after !== script.sha256) {
      throw new OperationalError(
        'host.install-failed',
        'failed',
        `${path} on ${host.name} has checksum ${after} after it was installed`,
      );
    }
  }
  const permitted = host.user === 'root' || (await run(host, ['sudo', '-n', '-l', '--', path])).exit === 0;
  return {
    path,
    version: script.version,
    sha256: script.sha256,
    before,
    changed,
    dryRun,
    permitted,
    sudoersLine,
    byHand: permitted ? [] : permitByHand(sudoersLine),
  };
}

type Run = (who: HostAccess, argv: string[]) => Promise<RemoteResult>;

async function sumOf(run: Run, admin: HostAccess, path: string): Promise<string | null> {
  const { stdout, exit } = await run(admin, ['sha256sum', '--', path]);
  return exit === 0 ? (/^\\?([0-9a-f]{64})/.exec(stdout)?.[1] ?? null) : null;
}

async function isRoots(run: Run, admin: HostAccess, path: string): Promise<boolean> {
  const { stdout } = await run(admin, ['stat', '-c', '%u %a %F', '--', path]);
  return stdout.trim() === '0 755 regular file';
}

const ancestors = (path: string): string[] => {
  const folder = posix.dirname(path);
  return folder === '/' ? ['/'] : [...ancestors(folder), folder];
};

/** Whoever may write to one of these folders could put his own file in place of what sudo runs as root. */
function refuseUnsafe(path: string, { stdout }: RemoteResult): void {
  const folders = stdout.split('\n').map((line) => /^(\d+) ([0-7]+) (.+)$/.exec(line));
  if (!folders.some((found) => found?.[3] === '/')) {
    throw new OperationalError('host.install-failed', 'failed', `Cannot look at the folders above ${path}`);
  }
  for (const found of folders) {
    if (found === null) continue;
    const [, owner, mode = '', folder] = found;
    const bits = parseInt(mode, 8);
    // In a folder like /tmp nobody can replace what is another's.
    const others = (bits & 0o022) !== 0 && (bits & 0o1000) === 0;
    if (owner === '0' && !others) continue;
    throw new UserError(
      'host.install-unsafe',
      'refused',
      `${folder} on the host can be changed by others than root (owner ${owner}, mode ${mode})`,
      {
        next: `Whoever can change it could become root through ${path}. Choose another scriptPath, or take the right away.`,
      },
    );
  }
}

function checked(pattern: RegExp, text: string, what: string): string {
  if (pattern.test(text)) return text;
  throw new UserError('host.install-name', 'invalid', `Not a valid ${what}: ${JSON.stringify(text.slice(0, 200))}`);
}

function installError(
  host: HostAccess,
  as: string,
  result: RemoteResult,
  script: HostScriptFile,
  path: string,
  sudoersLine: string,
): OperationalError | UserError {
  if (!/^sudo: |^Sorry, user /m.test(result.stderr)) {
    return new OperationalError(
      'host.install-failed',
      'failed',
      `Cannot install ${path} on ${host.name}: ${result.stderr.trim() || `exit ${result.exit}`}`,
      {
        facts: { host: host.name, exit: result.exit, stderr: result.stderr.slice(0, 4000) },
      },
    );
  }
  const byHand = [
    `scp -P ${host.port} ${quoteCommand([script.file])} ${as}@${host.address}:nasbackup.sh`,
    `install -D -o root -g root -m 0755 nasbackup.sh ${path}`,
    ...permitByHand(sudoersLine),
  ];
  return new UserError(
    'host.install-not-permitted',
    'refused',
    `${as} may not become root on ${host.name}: ${result.stderr.trim()}`,
    {
      next: `Name an administrator with --as USER, or run by hand (the first on this machine, the others as root on the host):\n${byHand.join('\n')}`,
      facts: { host: host.name, byHand, sudoersLine },
    },
  );
}

const permitByHand = (sudoersLine: string): string[] => [
  `echo '${sudoersLine}' >/etc/sudoers.d/chainkeeper && chmod 0440 /etc/sudoers.d/chainkeeper`,
  'visudo -c',
];
