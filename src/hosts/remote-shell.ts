import type { HostAccess } from './host-access';

/** One program to run on a host. */
export interface RemoteCommand {
  /** Program and arguments; the adapter quotes them. Never a secret: other users of the host can read it. */
  readonly argv: readonly string[];
  /** What the program reads on stdin; the way for secrets. Nothing: stdin is empty. */
  readonly stdin?: string | Uint8Array;
  /** Milliseconds from its start after which it is given up. It may go on over there. */
  readonly deadlineMs: number;
  /** Bytes kept of stdout; what comes after is read and dropped. Default: 16 MiB. */
  readonly stdoutCap?: number;
  /** Bytes kept of stderr. Default: 1 MiB. */
  readonly stderrCap?: number;
}

/** How a program ended, as far as it was seen. */
export interface RemoteResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Null: not seen. The program may have done all, some or nothing of its work, and may still run. */
  readonly exit: number | null;
  /** Signal that ended it, for example `KILL`; null when none was reported. */
  readonly signal: string | null;
  /** A stream said more than its cap: what is here is its beginning. */
  readonly truncated: boolean;
}

/**
 * The transport below the host client: runs one program on a host and drains both of its streams.
 *
 * It throws `UserError` `host.key-unknown`, `host.key-changed`, `host.key-revoked`, `host.auth-failed` or
 * `host.key-file`, and `OperationalError` `host.unreachable` or `host.busy`: nothing was executed.
 * `OperationalError` `host.timeout`: the outcome is unknown. A connection that is lost on the way is
 * no error but a result without exit code.
 */
export interface RemoteShell {
  run(host: HostAccess, command: RemoteCommand): Promise<RemoteResult>;
  /** Ends all connections; nothing of it keeps the process alive afterwards. */
  close(): Promise<void>;
}
