import type { RepositoryAccess, Secrets } from '../domain/agent/build-argv';
import type { InspectFacts } from '../domain/agent/facts';
import type { JobStatus } from '../domain/agent/read-job-status';
import type { Kept } from '../domain/agent/read-keep';
import type { Release } from '../domain/agent/read-release';
import type { CheckFacts } from '../domain/agent/read-check';
import type { Described } from '../domain/agent/read-describe';
import type { HostSweep } from '../domain/agent/read-sweep';
import type { Manifest } from '../domain/chain/write-manifest';
import type { HostAccess } from './host-access';
import type { RemoteResult } from './remote-shell';

/** A repository as the host script mounts it. */
export type Mount = RepositoryAccess;

/** What to look at. */
export interface InspectRequest {
  readonly vm: string;
  /** Paths of the disks, needed where libvirt does not know a stopped VM. */
  readonly diskPaths?: readonly string[];
  /** Looked at for free space when given. */
  readonly repository?: Mount;
  /** Directory in the repository; where it is not, the problem `path-missing` says so. */
  readonly path?: string;
}

/** A run to start in a job directory of its own on the host. */
export interface StartRequest {
  /** The run's id; a second start of the same id starts nothing and answers with the first one's state. */
  readonly jobId: string;
  /** The lease's epoch; a host that has seen a higher one for this VM refuses. */
  readonly fence: number;
  /** The operation and its options, as `build-argv` makes them. */
  readonly argv: readonly string[];
  readonly secrets?: Secrets;
}

/** From where on a job's output is wanted, in bytes; 0 for all. */
export interface StatusRequest {
  readonly jobId: string;
  readonly stdoutFrom?: number;
  readonly stderrFrom?: number;
}

/** A bitmap that is no longer a parent. */
export interface RetireRequest {
  readonly vm: string;
  readonly bitmap: string;
  readonly fence: number;
  readonly diskPaths?: readonly string[];
}

/** A VM to take all our bitmaps off. */
export interface ReleaseRequest {
  readonly vm: string;
  readonly fence: number;
  readonly diskPaths?: readonly string[];
  /** Say what is there, remove nothing. */
  readonly dryRun?: boolean;
}

/** A backup that is to say of itself what it is. */
export interface DescribeRequest {
  readonly repository: Mount;
  /** Directory of the backup. */
  readonly path: string;
  readonly manifest: Manifest;
}

/** A copy of the books that is to lie on a NAS. */
export interface KeepRequest {
  readonly repository: Mount;
  /** `books-<time>.jsonl.gz`. */
  readonly name: string;
  /** The copy, in pieces of 8 MiB at most. */
  readonly pieces: AsyncIterable<Uint8Array>;
  readonly sha256: string;
  /** Copies that stay there; older ones go. */
  readonly last: number;
}

/** A short operation of the host script that runs while one waits: `stats`, `delete`. */
export interface RunRequest {
  readonly argv: readonly string[];
  readonly secrets?: Secrets;
  /** Milliseconds to wait for its end; default: that of every short command. */
  readonly deadlineMs?: number;
}

/** What a host says of itself. */
export interface HostProbe {
  /** Version of the host script; null: it is not ours. */
  readonly script: string | null;
  readonly sha256: string | null;
  readonly libvirt: string | null;
  readonly qemu: string | null;
  readonly hostName: string | null;
  readonly bootId: string | null;
  /** Milliseconds that a program which does nothing took over the open connection: the login shell's own cost is in it. */
  readonly shellMs: number;
}

/** How to install. */
export interface InstallRequest {
  /** Login that may become root; default: the host's own user. */
  readonly as?: string;
  /** Look and say, change nothing. */
  readonly dryRun?: boolean;
}

/** What `install` found and did. */
export interface Installation {
  readonly path: string;
  readonly version: string;
  readonly sha256: string;
  /** SHA-256 of what lay there before; null: nothing. */
  readonly before: string | null;
  /** The file was, or in a dry run would be, replaced. */
  readonly changed: boolean;
  readonly dryRun: boolean;
  /** The host's user may run the script as root. */
  readonly permitted: boolean;
  /** The one line that permits it; accepted by `visudo -c`. */
  readonly sudoersLine: string;
  /** What is left to do by hand, as commands for a root shell on the host; empty when all is in place. */
  readonly byHand: readonly string[];
}

/**
 * The port to a hypervisor: everything that leaves the process for one. Errors of the transport: see RemoteShell.
 * Besides, `OperationalError` `host.outcome-unknown` (no exit code was seen), `host.sudo-refused`,
 * `host.script-missing`, `host.bad-answer` (not what our script prints), and `host.script-failed`
 * with the script's own code in `facts.script` and its stderr in `facts.stderr`.
 */
export interface HostClient {
  probe(host: HostAccess): Promise<HostProbe>;
  /** @throws UserError `host.stock` where nothing of ours is installed */
  inspect(host: HostAccess, request: InspectRequest): Promise<InspectFacts>;
  /** Starts a run, or finds it again. Safe to repeat. */
  start(host: HostAccess, request: StartRequest): Promise<JobStatus>;
  status(host: HostAccess, request: StatusRequest): Promise<JobStatus>;
  /** Asks a run to end and to put everything back; answers once it has, or after 10 s. A stock script goes on. */
  abort(host: HostAccess, jobId: string): Promise<JobStatus>;
  /** Drops a bitmap and its checkpoint; done already is done. @throws UserError `host.stock` where a stock script takes the backups */
  retire(host: HostAccess, request: RetireRequest): Promise<void>;
  /** Drops every bitmap and checkpoint of ours; other tools' stay. */
  release(host: HostAccess, request: ReleaseRequest): Promise<Release>;
  /** Whether the host is ready, and a repository to be reached from it. Writes a few small files there and takes them away. */
  check(host: HostAccess, repository: Mount | null): Promise<CheckFacts>;
  /**
   * Writes a manifest beside the files of a finished backup that are there in the sizes that it names.
   * @throws UserError `host.stock` where nothing of ours is installed
   */
  describe(host: HostAccess, request: DescribeRequest): Promise<Described>;
  /** Takes a copy of the books to a NAS: whole or not at all. @throws UserError `host.stock` where nothing of ours is installed */
  keep(host: HostAccess, request: KeepRequest): Promise<Kept>;
  /** Removes what killed calls and jobs left on the host and what is safe; tells the rest. Nothing that lives is touched. */
  sweep(host: HostAccess, request: { readonly dryRun: boolean }): Promise<HostSweep>;
  /** Runs a short operation and gives back what it printed, whatever its exit code. */
  run(host: HostAccess, request: RunRequest): Promise<RemoteResult>;
  install(host: HostAccess, request: InstallRequest): Promise<Installation>;
  close(): Promise<void>;
}
