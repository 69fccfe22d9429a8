import { setTimeout as sleep } from 'node:timers/promises';
import type { JobStatus } from '../domain/agent/read-job-status';
import { type ChainkeeperError, OperationalError, UserError } from '../domain/errors';
import type { HostAccess } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';

/** How a job ended, with all that it printed. */
export interface FollowedJob {
  /** `unknown`: it ended and nobody saw how; `absent`: the host has no such job. */
  readonly state: 'done' | 'unknown' | 'absent';
  readonly exit: number | null;
  /** Somebody has asked it to end. */
  readonly aborted: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a follower is told on the way. */
export interface FollowListener {
  onStatus(status: JobStatus): Promise<void>;
  /** The host could not be asked this time; it will be asked again. */
  onSilence(error: ChainkeeperError): Promise<void>;
  /** How it is reached by then; without this a host that refuses us is asked no more, and the refusal is thrown. */
  reached?(): Promise<HostAccess>;
}

/** Quick at first, because many runs take a second; then a load on nobody. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
const SILENT_PAUSE_MS = 5_000;
/** One that refuses us is asked less and less often: many a host locks out whoever tries a login again and again. */
const LONGEST_REFUSED_PAUSE_MS = 60_000;
/** Bytes kept of the beginning and of the end of each stream; the host has what lies between in the job's directory. */
const KEEP = 1024 * 1024;

/**
 * Follows a job to its end, however often the connection is lost on the way.
 * @throws the signal's reason when it aborts; the job goes on, and is followed again by whoever looks next.
 */
export async function followJob(
  client: HostClient,
  access: HostAccess,
  jobId: string,
  listener: FollowListener,
  signal: AbortSignal,
): Promise<FollowedJob> {
  const stdout = new Stream();
  const stderr = new Stream();
  let host = access;
  let refusedPause = SILENT_PAUSE_MS;
  for (let pause = FIRST_PAUSE_MS; ;) {
    signal.throwIfAborted();
    let status: JobStatus;
    try {
      status = await client.status(host, { jobId, stdoutFrom: stdout.next, stderrFrom: stderr.next });
    } catch (error) {
      if (!(error instanceof OperationalError || error instanceof UserError)) throw error;
      await listener.onSilence(error);
      const refused = error instanceof UserError;
      await sleep(refused ? refusedPause : SILENT_PAUSE_MS, undefined, { signal });
      // A key that changed, a login that is refused: somebody has to tell the books.
      if (refused && !listener.reached) throw error;
      refusedPause = refused ? Math.min(refusedPause * 2, LONGEST_REFUSED_PAUSE_MS) : SILENT_PAUSE_MS;
      host = (await listener.reached?.()) ?? host;
      continue;
    }
    refusedPause = SILENT_PAUSE_MS;
    const more = [
      stdout.add(status.stdout, status.stdoutNext, status.stdoutSize),
      stderr.add(status.stderr, status.stderrNext, status.stderrSize),
    ];
    if (status.state !== 'running' && !more.includes(true)) {
      const { state, exit, aborted } = status;
      return { state, exit, aborted, stdout: stdout.text(), stderr: stderr.text() };
    }
    await listener.onStatus(status);
    if (more.includes(true)) continue;
    await sleep(pause, undefined, { signal });
    pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
  }
}

/** The bytes of one stream, chunk by chunk; a chunk can end within a character. What a job says counts at both ends. */
class Stream {
  readonly #head: Uint8Array[] = [];
  readonly #tail: Uint8Array[] = [];
  #tailFrom = 0;
  next = 0;

  /** Answers whether the host has more of it already. */
  add(chunk: Uint8Array, next: number, size: number | null): boolean {
    if (next <= this.next) return false;
    // A job that goes on may have written more between the host's two looks: that comes again with the next answer.
    const fresh = chunk.subarray(0, next - this.next);
    if (this.next < KEEP) {
      this.#head.push(fresh);
      this.#tailFrom = next;
    } else this.#tail.push(fresh);
    this.next = next;
    this.#passOver((size ?? next) - KEEP);
    return size !== null && this.next < size;
  }

  /** Forgets of the tail what lies before, and asks for none of it. */
  #passOver(to: number): void {
    for (let first; (first = this.#tail[0]) && this.#tailFrom + first.length <= to; this.#tail.shift())
      this.#tailFrom += first.length;
    if (this.#tail.length === 0 && this.next < to && this.next >= KEEP) this.next = this.#tailFrom = to;
  }

  text(): string {
    const [head, tail] = [this.#head, this.#tail].map((chunks) => Buffer.concat(chunks).toString('utf8'));
    const left = this.next - lengthOf(this.#tail) - lengthOf(this.#head);
    // On the line that the tail begins within: what is left of that must not be taken for a whole one.
    return left === 0 ? `${head}${tail}` : `${head}\n[${left} bytes are left out here; the host has them] ${tail}`;
  }
}

const lengthOf = (chunks: readonly Uint8Array[]): number => chunks.reduce((length, chunk) => length + chunk.length, 0);
