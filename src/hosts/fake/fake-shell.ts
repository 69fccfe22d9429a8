import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { OperationalError, UserError } from '../../domain/errors';
import type { HostAccess } from '../host-access';
import { INSTALL_PROGRAM } from '../install-script';
import { START_PROGRAM, STATUS_PROGRAM } from '../stock-jobs';
import type { RemoteCommand, RemoteResult, RemoteShell } from '../remote-shell';
import type { FakeHost } from './fake-host';
import type { TransportFault } from './fault-plan';
import type { Said } from './script/call';
import { Killed } from './script/failure';
import { FakeJobDirectory, type RunOperation, statusOf } from './script/jobs';
import { runScript, runStockScript } from './script/run-script';

const NOTHING: RemoteResult = { stdout: '', stderr: '', exit: null, signal: null, truncated: false };
const FAULTS: readonly TransportFault[] = [
  'unreachable',
  'busy',
  'key-unknown',
  'key-changed',
  'auth-failed',
  'timeout',
  'lost-before',
  'lost-after',
  'garbage',
];

/** The shell of fake hosts: runs what the host client sends, and breaks on the way as told. */
export class FakeShell implements RemoteShell {
  /** @param find the host at an address; none: nobody answers there. */
  constructor(private readonly find: (access: HostAccess) => FakeHost | undefined) {}

  async run(access: HostAccess, command: RemoteCommand): Promise<RemoteResult> {
    const host = this.find(access);
    if (!host) throw faultError('unreachable', access);
    const operation = operationOf(access, command.argv);
    const fault = host.faults.take(operation, FAULTS);
    if (fault !== null && !['timeout', 'lost-before', 'lost-after', 'garbage'].includes(fault)) throw faultError(fault, access);
    if (fault === 'lost-before') return NOTHING;
    const said = await this.#execute(host, access, command).catch((error: unknown) => {
      if (error instanceof Killed) return null;
      throw error;
    });
    if (fault === 'timeout') throw faultError(fault, access);
    if (said === null || fault === 'lost-after') return NOTHING;
    return { ...NOTHING, ...said, ...(fault === 'garbage' ? { stdout: 'Welcome to the login shell of somebody else\n' } : {}) };
  }

  async close(): Promise<void> {}

  async #execute(host: FakeHost, { user, scriptPath }: HostAccess, { argv, stdin = '' }: RemoteCommand): Promise<Said> {
    if (argv[0] === 'sh') return keptByShell(host, user, argv);
    if (argv[0] !== 'sudo') return user === 'root' ? asRoot(host, scriptPath, argv, stdin) : asUser(host, argv);
    const mayAll = host.admins.has(user);
    const mayScript = (path = ''): boolean => host.sudoers.has(`${user} ${path}`) && host.installed.has(path);
    if (argv[2] === '-l') return mayAll || mayScript(argv.at(-1)) ? done(`${argv.at(-1)}\n`) : failed(1, '');
    const inner = argv.slice(3);
    if (!mayAll && !mayScript(inner[0])) return failed(1, 'sudo: a password is required\n');
    return asRoot(host, scriptPath, inner, stdin);
  }
}

const done = (stdout: string): Said => ({ stdout, stderr: '', exit: 0 });
const failed = (exit: number, stderr: string): Said => ({ stdout: '', stderr, exit });

async function asRoot(host: FakeHost, scriptPath: string, argv: readonly string[], stdin: string | Uint8Array): Promise<Said> {
  if (argv[0] === scriptPath) {
    if (!host.installed.has(scriptPath)) return failed(127, `sudo: ${scriptPath}: command not found\n`);
    return runScript(host, argv.slice(1), Buffer.from(stdin));
  }
  if (argv[0] === '/bin/sh' && argv[2] === INSTALL_PROGRAM) {
    const [path = '', sum] = argv.slice(4);
    const content = Buffer.from(stdin);
    const sha256 = createHash('sha256').update(content).digest('hex');
    if (sha256 !== sum) return failed(1, 'sha256sum: WARNING: 1 computed checksum did NOT match\n');
    host.installed.set(path, { content, sha256 });
    return done('');
  }
  return asUser(host, argv);
}

/** The two programs that keep the job of a stock script (`stock-jobs.ts`). */
function keptByShell(host: FakeHost, user: string, argv: readonly string[]): Said {
  const [, , program, , id = '', ...rest] = argv;
  if (program === STATUS_PROGRAM) {
    const [out = '0', err = '0'] = rest;
    return statusOf(host.homeJobs, id, Number(out), Number(err));
  }
  if (program !== START_PROGRAM) return failed(127, 'sh: 1: not found\n');
  if (host.homeJobs.has(id)) return done('');
  const command = rest[0] === 'sudo' ? rest.slice(3) : rest;
  const may = user === 'root' || host.sudoers.has(`${user} ${command[0]}`);
  const run: RunOperation = async (words, context) =>
    may ? runStockScript(host, words, context) : failed(1, 'sudo: a password is required\n');
  host.homeJobs.set(id, new FakeJobDirectory(id, command.slice(1), host, null, run));
  return done('');
}

/** The few programs besides the script that the host client asks for. */
function asUser(host: FakeHost, argv: readonly string[]): Said {
  const path = argv.at(-1) ?? '';
  const file = host.installed.get(path);
  if (argv[0] === 'true') return done('');
  if (argv[0] === 'sha256sum')
    return file ? done(`${file.sha256}  ${path}\n`) : failed(1, `sha256sum: ${path}: No such file or directory\n`);
  if (argv[0] === 'stat' && argv.includes('%u %a %F'))
    return file ? done('0 755 regular file\n') : failed(1, `stat: cannot statx '${path}'\n`);
  if (argv[0] === 'stat') {
    const folders = argv.slice(argv.indexOf('--') + 1);
    return done(folders.map((folder) => `0 ${posix.basename(folder) === 'tmp' ? '1777' : '755'} ${folder}\n`).join(''));
  }
  return failed(127, `sh: 1: ${argv[0]}: not found\n`);
}

/** The word by which a fault can be meant for one operation: the script's, or the program's name. */
function operationOf({ scriptPath }: HostAccess, argv: readonly string[]): string {
  if (argv[0] === 'sh') return argv[2] === START_PROGRAM ? 'start' : 'status';
  const at = argv.indexOf(scriptPath);
  const [first, second] = at < 0 || argv[2] === '-l' ? [argv[0]] : argv.slice(at + 1);
  return (first === '-o' ? second : first) ?? '';
}

function faultError(fault: TransportFault, { name }: HostAccess): UserError | OperationalError {
  const facts = { host: name };
  switch (fault) {
    case 'key-unknown':
    case 'key-changed':
      return new UserError(`host.${fault}`, 'refused', `The key of ${name} is not the pinned one`, { facts });
    case 'auth-failed':
      return new UserError('host.auth-failed', 'unauthorized', `${name} does not let anybody in`, { facts });
    case 'busy':
      return new OperationalError('host.busy', 'busy', `${name} took no further command`, { facts });
    case 'timeout':
      return new OperationalError('host.timeout', 'unreachable', `${name} gave no answer in time`, { facts });
    case 'unreachable':
    case 'lost-before':
    case 'lost-after':
    case 'garbage':
      return new OperationalError('host.unreachable', 'unreachable', `Cannot reach ${name}: connect ECONNREFUSED`, { facts });
  }
}
