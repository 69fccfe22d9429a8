import { setTimeout as sleep } from 'node:timers/promises';
import type { JobStatus } from '../domain/agent/read-job-status';
import { OperationalError } from '../domain/errors';
import type { HostAccess } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';

/** How a job ended, with all that it printed. */
export interface FollowedJob {
  /** `unknown`: it ended and nobody saw how; `absent`: the host has no such job. */
  readonly state: 'done' | 'unknown' | 'absent';
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a follower is told on the way. */
export interface FollowListener {
  onStatus(status: JobStatus): Promise<void>;
  /** The host could not be asked this time; it will be asked again. */
  onSilence(error: OperationalError): Promise<void>;
}

/** Quick at first, because many runs take a second; then a load on nobody. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
const SILENT_PAUSE_MS = 5_000;
/** Bytes kept of each stream; the host has the rest in the job's directory. */
const KEEP = 16 * 1024 * 1024;

/**
 * Follows a job to its end, however often the connection is lost on the way.
 * @throws the signal's reason when it aborts; the job goes on, and is followed again by whoever looks next.
 */
export async function followJob(
  client: HostClient,
  host: HostAccess,
  jobId: string,
  listener: FollowListener,
  signal: AbortSignal,
): Promise<FollowedJob> {
  const stdout = new Stream();
  const stderr = new Stream();
  for (let pause = FIRST_PAUSE_MS; ;) {
    signal.throwIfAborted();
    let status: JobStatus;
    try {
      status = await client.status(host, { jobId, stdoutFrom: stdout.next, stderrFrom: stderr.next });
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      await listener.onSilence(error);
      await sleep(SILENT_PAUSE_MS, undefined, { signal });
      continue;
    }
    const more = [
      stdout.add(status.stdout, status.stdoutNext, status.stdoutSize),
      stderr.add(status.stderr, status.stderrNext, status.stderrSize),
    ];
    if (status.state !== 'running' && !more.includes(true))
      return { state: status.state, exit: status.exit, stdout: stdout.text(), stderr: stderr.text() };
    await listener.onStatus(status);
    if (more.includes(true)) continue;
    await sleep(pause, undefined, { signal });
    pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
  }
}

/** The bytes of one stream, chunk by chunk; a chunk can end within a character. */
class Stream {
  readonly #chunks: Uint8Array[] = [];
  #kept = 0;
  next = 0;

  /** Answers whether the host has more of it already. */
  add(chunk: Uint8Array, next: number, size: number | null): boolean {
    if (chunk.length > 0 && this.#kept < KEEP) {
      this.#chunks.push(chunk);
      this.#kept += chunk.length;
    }
    const moved = next > this.next;
    this.next = Math.max(this.next, next);
    return moved && size !== null && this.next < size;
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
