import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  buildAbort,
  buildCheck,
  buildDescribe,
  buildInspect,
  buildKeep,
  buildRelease,
  buildRetire,
  buildStart,
  buildStatus,
  buildSweep,
  buildTake,
  type HostCommand,
} from '../domain/agent/build-argv';
import type { InspectFacts } from '../domain/agent/facts';
import type { Reading } from '../domain/agent/json-shape';
import { type CheckFacts, readCheck } from '../domain/agent/read-check';
import { type Described, readDescribe } from '../domain/agent/read-describe';
import { readInspect } from '../domain/agent/read-inspect';
import { type JobStatus, readJobStatus } from '../domain/agent/read-job-status';
import { type Kept, readKeep } from '../domain/agent/read-keep';
import { type Release, readRelease } from '../domain/agent/read-release';
import { type HostSweep, readSweep } from '../domain/agent/read-sweep';
import { ChainkeeperError, OperationalError, UserError } from '../domain/errors';
import { canLook, type HostAccess } from './host-access';
import type {
  DescribeRequest,
  HostClient,
  HostProbe,
  InspectRequest,
  Installation,
  InstallRequest,
  KeepRequest,
  Mount,
  ReleaseRequest,
  RetireRequest,
  RunRequest,
  StartRequest,
  StatusRequest,
} from './host-client';
import { installScript } from './install-script';
import type { RemoteResult, RemoteShell } from './remote-shell';
import { loadScript } from './script-file';
import { startStock, statusOfStock, stockCommand } from './stock-jobs';
import { redact } from './redact';
import { saysNotStarted, scriptError } from './script-error';

/** Settings of a host client. */
export interface ScriptHostClientOptions {
  /** Milliseconds that one short command may take. */
  readonly deadlineMs?: number;
  /** Takes what a host's answer held besides what we know: fields of a newer script, for example. */
  readonly warn?: (host: HostAccess, text: string) => void;
}

/** A VM that no host has: `inspect` then tells about the host alone. */
const NO_VM = 'chainkeeper-probe';
/** An operation that needs secrets runs as a job; one that changes no VM has no lease, and no lease can be in its way. */
const ABOVE_ALL_LEASES = 999_999_999_999_999;
/** A sweep waits for each mount of a NAS that is away. */
const SWEEP_DEADLINE_MS = 300_000;
/** The host has deadlines of its own for every step: it tells which one a NAS did not answer. */
const CHECK_DEADLINE_MS = 180_000;
/** A copy of the books may be large, and its NAS slow. */
const KEEP_DEADLINE_MS = 3_600_000;
const START_ATTEMPTS = 3;
const NOT_ABORTED = { how: 'none', libvirtJob: null, resumed: null, thawed: null, restore: null } as const;

/** The host client that speaks with the host script, over whatever shell reaches the host. */
export class ScriptHostClient implements HostClient {
  readonly #deadlineMs: number;
  #closed = false;
  readonly #warn: (host: HostAccess, text: string) => void;

  constructor(
    private readonly shell: RemoteShell,
    { deadlineMs = 60_000, warn = () => undefined }: ScriptHostClientOptions = {},
  ) {
    this.#deadlineMs = deadlineMs;
    this.#warn = warn;
  }

  async probe(host: HostAccess): Promise<HostProbe> {
    const facts = await this.inspect(host, { vm: NO_VM });
    const from = performance.now();
    await this.shell.run(host, { argv: ['true'], deadlineMs: this.#deadlineMs });
    const shellMs = Math.round(performance.now() - from);
    const sum = await this.shell.run(host, { argv: ['sha256sum', '--', host.scriptPath], deadlineMs: this.#deadlineMs });
    return {
      script: facts.script,
      sha256: /^[0-9a-f]{64}/.exec(sum.stdout)?.[0] ?? null,
      libvirt: facts.host.libvirt,
      qemu: facts.host.qemu,
      hostName: facts.host.name,
      bootId: facts.host.bootId,
      shellMs,
    };
  }

  async inspect(host: HostAccess, request: InspectRequest): Promise<InspectFacts> {
    if (!canLook(host)) throw nothingOfOurs(host, 'inspect');
    const command = buildInspect(request);
    // With secrets it is a job, and that is of our script too.
    return this.#read(host, command, await this.#operation({ ...host, stock: null }, command, this.#deadlineMs), readInspect);
  }

  async start(host: HostAccess, request: StartRequest): Promise<JobStatus> {
    const command = buildStart(request);
    const { stock } = host;
    // Starting twice starts once, so a start whose end nobody saw is simply asked for again.
    let unseen: OperationalError | null = null;
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (stock === null) return await this.#job(host, command);
        const result = await this.shell.run(host, { argv: startStock(host, stock, request), deadlineMs: this.#deadlineMs });
        if (result.exit !== 0) throw scriptError(host, 'start', result);
        return await this.status(host, request);
      } catch (error) {
        if (!(error instanceof ChainkeeperError)) throw error;
        if (error instanceof OperationalError && ['host.outcome-unknown', 'host.timeout'].includes(error.code)) unseen = error;
        // That a later call was certainly not executed says nothing of an earlier one; the script alone knows of both.
        else throw saysNotStarted(error) ? error : (unseen ?? error);
        if (attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  async status(host: HostAccess, request: StatusRequest): Promise<JobStatus> {
    if (host.stock === null) return this.#job(host, buildStatus(request));
    const result = await this.shell.run(host, { argv: statusOfStock(request), deadlineMs: this.#deadlineMs });
    return this.#read(host, { argv: ['status'] }, result, readJobStatus);
  }

  async abort(host: HostAccess, jobId: string): Promise<JobStatus> {
    if (host.stock === null) return this.#job(host, buildAbort(jobId));
    // Told to end, it would leave its mount, its job and a guest that its job has paused.
    return { ...(await this.status(host, { jobId })), abort: { ...NOT_ABORTED, left: ['a stock script cannot be told to end'] } };
  }

  async retire(host: HostAccess, request: RetireRequest): Promise<void> {
    if (host.stock !== null) throw onlyLooks(host, 'retire');
    const command = buildRetire(request);
    const result = await this.#call(host, command, this.#deadlineMs);
    if (result.exit !== 0) throw scriptError(host, 'retire', result);
  }

  async release(host: HostAccess, request: ReleaseRequest): Promise<Release> {
    if (host.stock !== null) throw onlyLooks(host, 'release');
    const command = buildRelease(request);
    return this.#read(host, command, await this.#call(host, command, this.#deadlineMs), readRelease);
  }

  async check(host: HostAccess, repository: Mount | null): Promise<CheckFacts> {
    if (!canLook(host)) throw nothingOfOurs(host, 'check');
    const command = buildCheck(repository);
    const deadlineMs = repository === null ? this.#deadlineMs : CHECK_DEADLINE_MS;
    return this.#read(host, command, await this.#operation({ ...host, stock: null }, command, deadlineMs), readCheck);
  }

  async describe(host: HostAccess, request: DescribeRequest): Promise<Described> {
    if (!canLook(host)) throw nothingOfOurs(host, 'describe');
    const command = buildDescribe(request);
    return this.#read(host, command, await this.#operation({ ...host, stock: null }, command, this.#deadlineMs), readDescribe);
  }

  async keep(host: HostAccess, { pieces, ...request }: KeepRequest): Promise<Kept> {
    if (!canLook(host)) throw nothingOfOurs(host, 'keep');
    const ours = { ...host, stock: null };
    const jobId = randomUUID();
    let from = 0;
    for await (const stdin of pieces) {
      const taken = await this.#call(ours, { ...buildTake({ jobId, from }), stdin }, this.#deadlineMs);
      if (taken.exit !== 0) throw scriptError(host, 'take', taken);
      from += stdin.length;
    }
    const command = buildKeep(request);
    return this.#read(host, command, await this.#asJob(ours, command, KEEP_DEADLINE_MS, jobId), readKeep);
  }

  async sweep(host: HostAccess, request: { readonly dryRun: boolean }): Promise<HostSweep> {
    if (host.stock !== null) throw onlyLooks(host, 'sweep');
    const command = buildSweep(request);
    return this.#read(host, command, await this.#call(host, command, SWEEP_DEADLINE_MS), readSweep);
  }

  run(host: HostAccess, { deadlineMs = this.#deadlineMs, ...command }: RunRequest): Promise<RemoteResult> {
    if (host.stock !== null) return this.shell.run(host, { argv: stockCommand(host, host.stock, command.argv), deadlineMs });
    return this.#operation(host, command, deadlineMs);
  }

  async install(host: HostAccess, request: InstallRequest): Promise<Installation> {
    return installScript(this.shell, host, request, await loadScript());
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.shell.close();
  }

  /** The script takes secrets for jobs alone, where they lie in a file of root's while they are needed. */
  #operation(host: HostAccess, command: HostCommand, deadlineMs: number): Promise<RemoteResult> {
    return command.secrets === undefined ? this.#call(host, command, deadlineMs) : this.#asJob(host, command, deadlineMs);
  }

  #call(
    host: HostAccess,
    { argv, secrets, stdin }: HostCommand & { readonly stdin?: Uint8Array },
    deadlineMs: number,
  ): Promise<RemoteResult> {
    const input = stdin ?? (secrets === undefined ? undefined : JSON.stringify(secrets));
    const sudo = host.user === 'root' ? [] : ['sudo', '-n', '--'];
    return this.shell.run(host, {
      argv: [...sudo, host.scriptPath, ...argv],
      deadlineMs,
      ...(input === undefined ? {} : { stdin: input }),
    });
  }

  async #job(host: HostAccess, command: HostCommand): Promise<JobStatus> {
    return this.#read(host, command, await this.#call(host, command, this.#deadlineMs), readJobStatus);
  }

  async #asJob(host: HostAccess, command: HostCommand, deadlineMs: number, jobId: string = randomUUID()): Promise<RemoteResult> {
    const deadline = performance.now() + deadlineMs;
    await this.start(host, { jobId, fence: ABOVE_ALL_LEASES, ...command });
    const stdout: Uint8Array[] = [];
    const stderr: Uint8Array[] = [];
    let [stdoutFrom, stderrFrom] = [0, 0];
    for (let pause = 20; ; pause = Math.min(pause * 1.5, 500)) {
      const status = await this.status(host, { jobId, stdoutFrom, stderrFrom });
      stdout.push(status.stdout);
      stderr.push(status.stderr);
      const more = status.stdoutNext > stdoutFrom || status.stderrNext > stderrFrom;
      [stdoutFrom, stderrFrom] = [status.stdoutNext, status.stderrNext];
      if (status.state !== 'running' && !more) {
        const text = (chunks: Uint8Array[]): string => Buffer.concat(chunks).toString('utf8');
        return { stdout: text(stdout), stderr: text(stderr), exit: status.exit, signal: null, truncated: false };
      }
      if (this.#closed || performance.now() > deadline) {
        throw new OperationalError('host.timeout', 'unreachable', `${host.name} gave no answer within ${deadlineMs / 1000} s`, {
          facts: { host: host.name, jobId },
        });
      }
      if (!more) await sleep(pause);
    }
  }

  /** A failure that was reported in the answer itself (an abort that could not put everything back) is an answer. */
  #read<T>(host: HostAccess, { argv, secrets }: HostCommand, result: RemoteResult, read: (json: string) => Reading<T>): T {
    const operation = argv[0] ?? '';
    const reading = read(result.stdout);
    if (result.exit !== 0 && !(operation === 'abort' && reading.ok)) throw scriptError(host, operation, result, secrets);
    if (!reading.ok) {
      throw new OperationalError(
        'host.bad-answer',
        'failed',
        `${host.name} answered ${operation} with something that our script does not print: ${reading.path} ${reading.message}`,
        {
          next: `Is ${host.scriptPath} Chainkeeper's script? Run: chainkeeper host install ${host.name} --dry-run`,
          facts: {
            host: host.name,
            stdout: redact(result.stdout, secrets).slice(0, 1000),
            stderr: redact(result.stderr, secrets).slice(0, 1000),
          },
        },
      );
    }
    for (const warning of reading.warnings) this.#warn(host, `${operation}: ${warning}`);
    return reading.value;
  }
}

const nothingOfOurs = (host: HostAccess, operation: string): UserError =>
  new UserError('host.stock', 'refused', `${host.name} runs a stock script, which knows no ${operation}`, {
    next: 'Put our script beside it for looking (chainkeeper host install), or let ours take the backups.',
    facts: { host: host.name },
  });

/** A stock script holds no lock that ours knows, and its bitmaps have the names of CloudStack's own: beside it ours changes nothing. */
const onlyLooks = (host: HostAccess, operation: string): UserError =>
  new UserError(
    'host.stock',
    'refused',
    `${host.name} runs a stock script, beside which ours only looks: no ${operation} there`,
    {
      next: `Let ours take the backups: chainkeeper host change ${host.name} --script ours --dialect seed`,
      facts: { host: host.name },
    },
  );
