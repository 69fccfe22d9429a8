import type { Secrets } from '../../../domain/agent/build-argv';
import type { JobProgress, JobState } from '../../../domain/agent/read-job-status';
import type { FakeHost } from '../fake-host';
import type { Said } from './call';
import { checkFence } from './call';
import { Failure, Killed } from './failure';
import { listOf, need, type Options, parseOptions } from './options';
import { jsonAnswer } from './print';

/** Bytes of stdout, and of stderr, in one answer of `status`. */
const CHUNK = 65_536;

/** Runs an operation; how it is done is the dispatcher's business. */
export type RunOperation = (
  argv: readonly string[],
  context: { readonly signal: AbortSignal; readonly secrets: Secrets | null; progress(processed: number, total: number): void },
) => Promise<Said>;

/** A job directory and the process that it stands for. */
export class FakeJobDirectory {
  state: JobState = 'running';
  exit: number | null = null;
  ended: string | null = null;
  aborted = false;
  progress: JobProgress | null = null;
  stdout: Buffer = Buffer.alloc(0);
  stderr: Buffer = Buffer.alloc(0);
  /** Kept while the job runs, 0600 on a real host. */
  secrets: Secrets | null;
  readonly started: string | null;
  readonly finished: Promise<void>;
  readonly #process = new AbortController();

  constructor(
    readonly id: string,
    readonly argv: readonly string[],
    private readonly host: FakeHost,
    secrets: Secrets | null,
    /** Null: it never runs. */
    run: RunOperation | null,
  ) {
    this.started = run && host.now();
    this.secrets = secrets;
    this.finished = run === null ? Promise.resolve(this.#forestall()) : this.#run(run, secrets);
  }

  /** It was stopped before it began. */
  #forestall(): void {
    this.aborted = true;
    this.stdout = Buffer.from('Stopped before it began\n');
    this.#end(1);
  }

  /** TERM: the operation takes everything back and ends. */
  terminate(): void {
    this.#process.abort('TERM');
  }

  /** kill -9 of everything in the job. */
  kill(): void {
    if (this.state !== 'running') return;
    this.#process.abort('KILL');
    this.#end(null);
  }

  async #run(run: RunOperation, secrets: Secrets | null): Promise<void> {
    // The caller gets its answer first, as from a process that has just been started.
    await new Promise((later) => setImmediate(later));
    const progress = (processed: number, total: number): void => {
      this.progress = { processed, total };
    };
    try {
      const said = await run(this.argv, { signal: this.#process.signal, secrets, progress });
      if (this.state !== 'running') return;
      this.stdout = Buffer.from(said.stdout);
      this.stderr = Buffer.from(said.stderr);
      this.#end(said.exit);
    } catch (error) {
      if (!(error instanceof Killed)) this.stderr = Buffer.from(`${String(error)}\n`);
      if (this.state === 'running') this.#end(null);
    }
  }

  #end(exit: number | null): void {
    this.secrets = null;
    this.exit = exit;
    this.state = exit === null ? 'unknown' : 'done';
    if (exit !== null) this.ended = this.host.now();
  }
}

/** `start`: the first call makes the job, every repetition learns its state. */
export function start(host: FakeHost, options: Options, stdin: string, run: RunOperation): Said {
  const id = need(options, 'job');
  const fence = need(options, 'fence');
  let job = host.jobs.get(id);
  const created = job === undefined;
  if (!job) {
    const inner = parseOptions(options.rest);
    if (!inner.operation || ['start', 'status', 'abort'].includes(inner.operation)) {
      throw new Failure('bad-option', 'Operation start needs an operation after --');
    }
    if (/(^|,)(pass|password|pass2|password2|secret)=/.test(inner.values.get('mount') ?? '')) {
      throw new Failure('bad-option', 'A secret in the mount options: secrets belong on stdin');
    }
    const vm = inner.values.get('vm');
    if (vm) checkFence(host, vm, Number(fence), false);
    const own = [...options.rest, '--job', id, '--fence', fence];
    job = new FakeJobDirectory(id, own, host, readSecrets(stdin), run);
    host.jobs.set(id, job);
  }
  return jsonAnswer({ ...describe(id, job), created });
}

/** `status --from OUT:ERR`. */
export function status(host: FakeHost, options: Options): Said {
  const [out = 0, err = 0] = listOf(options.values.get('from')?.replace(':', ',')).map(Number);
  return statusOf(host.jobs, need(options, 'job'), out, err);
}

/** The answer about one of these jobs, with its output from these offsets on. */
export function statusOf(jobs: ReadonlyMap<string, FakeJobDirectory>, id: string, out: number, err: number): Said {
  const job = jobs.get(id);
  return jsonAnswer({
    ...describe(id, job),
    encoding: 'base64',
    ...output('stdout', job?.stdout, out),
    ...output('stderr', job?.stderr, err),
  });
}

/** `abort`: ends the operation, and one whose start may still be on its way before it begins; then whatever it could not take back any more. */
export async function abort(host: FakeHost, options: Options): Promise<Said> {
  const id = need(options, 'job');
  const job = host.jobs.get(id) ?? new FakeJobDirectory(id, [], host, null, null);
  host.jobs.set(id, job);
  let how = 'none';
  if (job.state === 'running') {
    how = 'term';
    job.aborted = true;
    job.terminate();
    await job.finished;
  }
  const unfinished = job.started !== null && (job.state === 'unknown' || job.aborted);
  const restore = unfinished && isRestore(job) ? settleRestore(host, id) : null;
  const resumed = unfinished && restore === null && freeGuest(host, job);
  const left = [...host.stuck];
  const said = jsonAnswer({
    ...describe(id, job),
    abort: { how, libvirtJob: how === 'term' ? 'aborted' : 'none', resumed, thawed: false, restore, left },
  });
  return { ...said, exit: left.length > 0 ? 20 : 0 };
}

const isRestore = ({ argv }: FakeJobDirectory): boolean => argv[0] !== 'stock' && parseOptions(argv).operation === 'restore';

/** What a restore that was killed has written goes; what it had put in place stays. */
export function settleRestore(host: FakeHost, id: string): 'finished' | 'rolled-back' {
  host.mounts.clear();
  host.restoring.delete(id);
  return host.placed.has(id) ? 'finished' : 'rolled-back';
}

function freeGuest(host: FakeHost, { argv }: FakeJobDirectory): boolean {
  host.mounts.clear();
  const vm = host.vms.get(parseOptions(argv[0] === 'stock' ? argv.slice(1) : argv).values.get('vm') ?? '');
  if (vm?.state !== 'paused' || vm.reason !== 'I/O error') return false;
  vm.resume();
  return true;
}

const describe = (id: string, job: FakeJobDirectory | undefined): object => ({
  v: 1,
  job: id,
  state: job?.state ?? 'absent',
  exit: job?.exit ?? null,
  started: job?.started ?? null,
  ended: job?.ended ?? null,
  aborted: job?.aborted ?? false,
  progress: job?.progress ?? null,
});

function output(name: string, said: Buffer = Buffer.alloc(0), from: number): object {
  const chunk = said.subarray(from, from + CHUNK);
  return {
    [name]: chunk.toString('base64'),
    [`${name}Next`]: Math.min(from, said.length) + chunk.length,
    [`${name}Size`]: said.length,
  };
}

function readSecrets(stdin: string): Secrets | null {
  if (stdin.trim() === '') return null;
  try {
    const secrets: unknown = JSON.parse(stdin);
    if (typeof secrets === 'object' && secrets !== null && !Array.isArray(secrets)) return secrets;
  } catch {
    // falls through to the refusal, which does not repeat what it read
  }
  throw new Failure('bad-option', 'The secrets on stdin are not one JSON object');
}
