import { InvariantError, UserError } from '../errors';
import { type BackupMode, type Dialect, type LostBitmapWish, type TransferWish } from './facts';
import { type Credentials, partMountOptions } from './mount-options';
import { checkDiskSource, checkName } from './names';

/** The script that will read the argv. `ours` speaks seed and final, and takes secrets on stdin; a `stock` one is CloudStack's. */
export type HostScript =
  { readonly kind: 'ours'; readonly dialect: 'seed' | 'final' } | { readonly kind: 'stock'; readonly dialect: Dialect };

/** What goes to the host on stdin as JSON, and never on a command line. */
export interface Secrets {
  /** Replaces the options of `-m`. */
  readonly mountOptions?: string;
  readonly credentials?: Credentials;
}

/** One call of the host script: arguments without the program, not yet quoted. */
export interface HostCommand {
  readonly argv: readonly string[];
  /** Absent when nothing about the call is secret. Only `start` takes secrets to an operation. */
  readonly secrets?: Secrets;
}

/** How a repository is reached, as CloudStack's `backup_repository` has it. */
export interface RepositoryAccess {
  /** nfs, cifs, ceph or dir. */
  readonly type: string;
  readonly address: string;
  /** Mount options, one list with commas; may hold credentials. */
  readonly options: string | null;
}

/** What one disk's part of a backup is to be; our script alone can be told. */
export interface DiskOrder {
  readonly target: string;
  readonly mode: 'full' | 'incremental' | 'rescued';
  /** The parent's file, relative to the root of the repository; null for a full. */
  readonly parentFile: string | null;
  /** The disk as it was inspected: the script refuses another one. */
  readonly path?: string;
  /** Needed for a stopped VM, whose disks libvirt no longer describes. */
  readonly format?: 'qcow2' | 'raw';
}

/** A backup to take. */
export interface BackupOrder {
  readonly vm: string;
  readonly repository: RepositoryAccess;
  /** Directory on the NAS, `<vm>/<time>`. */
  readonly path: string;
  readonly quiesce: boolean;
  /** Disks of a stopped VM, in order; empty for a running one, as CloudStack has it. A script looks by itself whether it runs. */
  readonly diskPaths: readonly string[];
  readonly mode: BackupMode;
  /** Null with `legacy-full` only. */
  readonly bitmapNew: string | null;
  /** Not null with `incremental` only. */
  readonly bitmapParent: string | null;
  readonly disks: readonly DiskOrder[];
  /** How the data of a live VM is to travel; `push` unless told. */
  readonly transfer?: TransferWish;
  /** MiB a second for all disks together; null: no limit. */
  readonly bandwidth?: number | null;
  /** What to do with a disk whose bitmap is lost; `full` unless told. */
  readonly onLostBitmap?: LostBitmapWish;
}

/** One disk of a restore point and where it is to go. */
export interface RestoreDisk {
  /** libvirt's target name at the time of the backup, for example `vda`. */
  readonly target: string;
  /** File name in the backup's directory. */
  readonly file: string;
  /** Absolute path on the host: a new file, the VM's volume (in place), or a block device. */
  readonly to: string;
  readonly format: 'qcow2' | 'raw';
  /** What the books say, in bytes; a file that disagrees is refused as `size-mismatch`. */
  readonly virtualSize?: number;
}

/** What becomes of the disks. */
export type RestoreWay =
  /** New files, or block devices, that nothing uses. */
  | { readonly kind: 'new-disks' }
  /** The stopped VM's own volumes: all of them are swapped, or none. */
  | { readonly kind: 'in-place' }
  /** New disks under a new, stopped domain made from the stored definition; `networks`: its links are up. */
  | { readonly kind: 'new-domain'; readonly name: string; readonly networks: boolean }
  /** One new disk, attached to that VM. */
  | { readonly kind: 'attached'; readonly vm: string };

/** A restore point, or some of its disks, to bring back. */
export interface RestoreOrder {
  /** The VM that was backed up; its lock and fence are the restore's. */
  readonly vm: string;
  readonly repository: RepositoryAccess;
  /** Directory of the backup on the NAS, `<vm>/<time>`. */
  readonly path: string;
  readonly disks: readonly RestoreDisk[];
  readonly way: RestoreWay;
  /** Block devices may be written over. */
  readonly overwrite?: boolean;
  /** What can still be read is brought back, though files are not what they were. */
  readonly salvage?: boolean;
  /** Limit in MiB a second of the copy. */
  readonly mibPerSecond?: number;
}

/**
 * CloudStack's argv for a backup, in the dialect of the script. Ours is run by {@link buildStart}, which brings the fence.
 * @throws UserError `name.*`, `repository.secret-on-argv`; InvariantError `agent.incomplete-order`.
 */
export function buildBackup(script: HostScript, order: BackupOrder): HostCommand {
  const options = ['-v', checkName('vm', order.vm), ...repositoryOptions(order.repository)];
  options.push('-p', checkName('path', order.path), '-q', String(order.quiesce), '-d', diskList(order.diskPaths));
  options.push(...modeOptions(script, order));
  if (script.kind === 'ours') {
    const disks = JSON.stringify(order.disks.map(checkDisk));
    options.push('--dialect', script.dialect, '--facts', '--disks', disks, '--transfer', order.transfer ?? 'push');
    options.push('--on-lost-bitmap', order.onLostBitmap ?? 'full');
    if (order.bandwidth != null) options.push('-b', wholeNumber(order.bandwidth));
  }
  return operation(script, 'backup', options, order.repository);
}

/** Removes a backup's directory from the NAS. @throws UserError as {@link buildBackup}. */
export const buildDelete = (script: HostScript, repository: RepositoryAccess, path: string): HostCommand =>
  operation(script, 'delete', [...repositoryOptions(repository), '-p', checkName('path', path)], repository);

/** Removes what bears the mark of a run at that path, and nothing else: whether it is in the books is for the caller to know. @throws UserError as {@link buildBackup}. */
export const buildDiscard = (repository: RepositoryAccess, path: string, runId: string): HostCommand =>
  withSecrets(
    ['delete', ...repositoryOptions(repository), '-p', checkName('path', path), '--run', checkName('job', runId)],
    repository,
  );

/**
 * Brings disks of a restore point back; our script alone can. It runs as a job, by {@link buildStart}.
 * @throws UserError as {@link buildBackup}.
 */
export function buildRestore({ vm, repository, path, disks, way, overwrite, salvage, mibPerSecond }: RestoreOrder): HostCommand {
  const argv = ['restore', '-v', checkName('vm', vm), ...repositoryOptions(repository), '-p', checkName('path', path)];
  argv.push('--disks', JSON.stringify(disks.map(checkRestoreDisk)), ...wayOptions(way));
  if (overwrite) argv.push('--overwrite');
  if (salvage) argv.push('--salvage');
  if (mibPerSecond !== undefined) argv.push('-b', wholeNumber(mibPerSecond));
  return withSecrets(argv, repository);
}

/** Asks for size and use of a repository. @throws UserError as {@link buildBackup}. */
export const buildStats = (script: HostScript, repository: RepositoryAccess): HostCommand =>
  operation(script, 'stats', repositoryOptions(repository), repository);

/** Asks our script for facts about a VM, and about a repository when there is one. */
export function buildInspect(request: {
  readonly vm: string;
  /** Needed for a stopped VM: libvirt has forgotten a transient one. */
  readonly diskPaths?: readonly string[];
  readonly repository?: RepositoryAccess;
  /** Directory in the repository; where it is not, the problem `path-missing` says so. */
  readonly path?: string;
}): HostCommand {
  const argv = ['inspect', '-v', checkName('vm', request.vm), ...stoppedDisks(request.diskPaths)];
  if (request.repository === undefined) return { argv };
  if (request.path !== undefined) argv.push('-p', checkName('path', request.path));
  return withSecrets([...argv, ...repositoryOptions(request.repository)], request.repository);
}

/** Starts another command as a detached job of our script; its secrets go along. */
export function buildStart(request: HostCommand & { readonly jobId: string; readonly fence: number }): HostCommand {
  const { jobId, fence, argv, secrets } = request;
  const start = ['start', '--job', checkName('job', jobId), '--fence', wholeNumber(fence), '--', ...argv];
  return secrets === undefined ? { argv: start } : { argv: start, secrets };
}

/** Asks for a job's state, and for its output from these offsets (bytes) on. */
export function buildStatus(request: {
  readonly jobId: string;
  readonly stdoutFrom?: number;
  readonly stderrFrom?: number;
}): HostCommand {
  const { jobId, stdoutFrom = 0, stderrFrom = 0 } = request;
  const from = `${wholeNumber(stdoutFrom)}:${wholeNumber(stderrFrom)}`;
  return { argv: ['status', '--job', checkName('job', jobId), '--from', from] };
}

/** Asks a job to end. */
export const buildAbort = (jobId: string): HostCommand => ({ argv: ['abort', '--job', checkName('job', jobId)] });

/** Drops one of our bitmaps that is no longer a parent. */
export function buildRetire(request: {
  readonly vm: string;
  readonly bitmap: string;
  readonly fence: number;
  /** Needed for a stopped VM. */
  readonly diskPaths?: readonly string[];
}): HostCommand {
  const { vm, bitmap, fence, diskPaths } = request;
  const argv = ['retire', '-v', checkName('vm', vm), '--bitmap', checkName('bitmap', bitmap)];
  return { argv: [...argv, '--fence', wholeNumber(fence), ...stoppedDisks(diskPaths)] };
}

/** Drops every bitmap of ours. */
export function buildRelease(request: {
  readonly vm: string;
  readonly fence: number;
  /** Needed for a stopped VM. */
  readonly diskPaths?: readonly string[];
  readonly dryRun?: boolean;
}): HostCommand {
  const { vm, fence, diskPaths, dryRun } = request;
  const argv = ['release', '-v', checkName('vm', vm), ...stoppedDisks(diskPaths)];
  return { argv: [...argv, ...(dryRun ? ['--dry-run'] : ['--fence', wholeNumber(fence)])] };
}

/** Asks whether a host is ready, and whether a repository is to be reached from it. */
export function buildCheck(repository: RepositoryAccess | null): HostCommand {
  return repository === null ? { argv: ['check'] } : withSecrets(['check', ...repositoryOptions(repository)], repository);
}

/** Writes a manifest beside the files of a backup, if they are what it says. @throws UserError as {@link buildBackup}. */
export const buildDescribe = ({
  repository,
  path,
  manifest,
}: {
  readonly repository: RepositoryAccess;
  readonly path: string;
  readonly manifest: object;
}): HostCommand =>
  withSecrets(
    ['describe', ...repositoryOptions(repository), '-p', checkName('path', path), '--manifest', JSON.stringify(manifest)],
    repository,
  );

/** Takes the checksums of a backup's files, or compares them. For a job: it reads all of them. @throws UserError as {@link buildBackup}. */
export function buildChecksum(request: {
  readonly repository: RepositoryAccess;
  readonly path: string;
  readonly verify: boolean;
  /** MiB a second. */
  readonly mib: number;
}): HostCommand {
  const { repository, path, verify, mib } = request;
  const argv = ['checksum', ...repositoryOptions(repository), '-p', checkName('path', path), '-b', wholeNumber(mib)];
  return withSecrets([...argv, ...(verify ? ['--verify'] : [])], repository);
}

/** Hands over bytes of a job that is to begin later, from this offset on; they go on stdin. */
export const buildTake = ({ jobId, from }: { readonly jobId: string; readonly from: number }): HostCommand => ({
  argv: ['take', '--job', checkName('job', jobId), '--from', wholeNumber(from)],
});

/** Puts what was handed over for this job onto a NAS, as a copy of the books. @throws UserError as {@link buildBackup}. */
export const buildKeep = (request: {
  readonly repository: RepositoryAccess;
  /** `books-<time>.jsonl.gz`. */
  readonly name: string;
  readonly sha256: string;
  /** Copies that stay. */
  readonly last: number;
}): HostCommand => {
  const { repository, name, sha256, last } = request;
  const argv = ['keep', ...repositoryOptions(repository), '--name', checkName('file', name), '--sha256', sha256];
  return withSecrets([...argv, '--last', wholeNumber(last)], repository);
};

/** Removes what killed calls and jobs left on a host. */
export const buildSweep = ({ dryRun }: { readonly dryRun: boolean }): HostCommand => ({
  argv: ['sweep', ...(dryRun ? ['--dry-run'] : [])],
});

function operation(script: HostScript, name: string, options: readonly string[], repository: RepositoryAccess): HostCommand {
  const argv = ['-o', name, ...options];
  if (script.kind === 'ours') return withSecrets(argv, repository);
  if (secretsOf(repository) === undefined) return { argv };
  throw new UserError(
    'repository.secret-on-argv',
    'refused',
    'A stock script takes mount options on its command line only, where every user of the host could read the credentials.',
    { next: "Use Chainkeeper's own host script for this repository." },
  );
}

function withSecrets(argv: readonly string[], repository: RepositoryAccess): HostCommand {
  const secrets = secretsOf(repository);
  return secrets === undefined ? { argv } : { argv, secrets };
}

/** What of a repository's options may be on no command line and in no text that others read; undefined: nothing. */
export function secretsOf({ options }: Pick<RepositoryAccess, 'options'>): Secrets | undefined {
  const { open, credentials, secret } = partMountOptions(options ?? '');
  if (credentials === null && secret.length === 0) return undefined;
  return {
    ...(secret.length > 0 ? { mountOptions: [open, ...secret].filter((option) => option !== '').join(',') } : {}),
    ...(credentials === null ? {} : { credentials }),
  };
}

/** `-t -s -m`. An unset `-m` goes as an empty value: left out, it would swallow the next option. */
function repositoryOptions({ type, address, options }: RepositoryAccess): string[] {
  const { open } = partMountOptions(checkName('options', options ?? ''));
  return ['-t', checkName('mount', type), '-s', checkName('address', address), '-m', open];
}

function modeOptions(script: HostScript, { mode, bitmapNew, bitmapParent, disks }: BackupOrder): string[] {
  // Before the final dialect a legacy full is asked for by saying nothing.
  if (mode === 'legacy-full') return script.dialect === 'final' ? ['-M', mode] : [];
  if (script.dialect === 'legacy') {
    throw new InvariantError('agent.incomplete-order', 'A legacy script knows neither modes nor bitmaps.');
  }
  const argv = ['-M', mode];
  argv.push('--bitmap-new', checkName('bitmap', expected(bitmapNew, 'a new bitmap')));
  if (mode === 'full') return argv;
  argv.push('--bitmap-parent', checkName('bitmap', expected(bitmapParent, "the parent's bitmap")));
  // Our script is told disk by disk (`--disks`).
  if (script.kind === 'ours') return argv;
  const parents = disks.map(({ parentFile }) => checkName('path', expected(parentFile, 'a parent file for every disk')));
  const first = expected(parents[0] ?? null, 'a disk');
  return [...argv, ...(script.dialect === 'seed' ? ['--parent-path', first] : ['--parent-paths', parents.join(',')])];
}

const checkDisk = ({ target, mode, parentFile, path, format }: DiskOrder): DiskOrder => ({
  target: checkName('target', target),
  mode,
  parentFile: parentFile === null ? null : checkName('path', parentFile),
  ...(path === undefined ? {} : { path: checkName('disk', path) }),
  ...(format === undefined ? {} : { format }),
});

const checkRestoreDisk = ({ target, file, to, format, virtualSize }: RestoreDisk): RestoreDisk => ({
  target: checkName('target', target),
  file: checkName('file', file),
  to: checkName('disk', to),
  format,
  ...(virtualSize === undefined ? {} : { virtualSize: Number(wholeNumber(virtualSize)) }),
});

function wayOptions(way: RestoreWay): string[] {
  switch (way.kind) {
    case 'new-disks':
      return [];
    case 'in-place':
      return ['--swap'];
    case 'new-domain':
      return ['--new-name', checkName('vm', way.name), ...(way.networks ? ['--networks'] : [])];
    case 'attached':
      return ['--attach', checkName('vm', way.vm)];
  }
}

const diskList = (paths: readonly string[]): string => paths.map(checkDiskSource).join(',');

const stoppedDisks = (paths: readonly string[] = []): string[] => (paths.length > 0 ? ['-d', diskList(paths)] : []);

function wholeNumber(value: number): string {
  if (Number.isSafeInteger(value) && value >= 0) return String(value);
  throw new InvariantError('agent.not-a-whole-number', `${value} is not a whole number from 0 on.`);
}

function expected<T>(value: T | null, what: string): T {
  if (value !== null) return value;
  throw new InvariantError('agent.incomplete-order', `An order for this kind of backup must name ${what}.`);
}
