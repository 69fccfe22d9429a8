import { setTimeout as sleep } from 'node:timers/promises';
import { OperationalError } from '../../domain/errors';
import { quoteCommand } from '../../domain/agent/quote';
import type { HostAccess } from '../host-access';
import type { RemoteCommand, RemoteResult } from '../remote-shell';
import { connect, type ConnectOptions } from './connect';
import { Slots } from './slots';
import { NotExecuted, type SshConnection } from './ssh-connection';

/** How one host is kept in reach. */
export interface LinkOptions extends ConnectOptions {
  /** Milliseconds after which a connection without commands is closed. */
  readonly idleMs: number;
}

// sshd allows 10 sessions a connection and frees them late: at 8 the first channels are refused already.
const CHANNELS = 4;
const ATTEMPTS = 6;

/** One host: one connection, opened when it is needed, and four commands at a time in the order they came. */
export class HostLink {
  readonly #slots = new Slots(CHANNELS);
  #connection: Promise<SshConnection> | null = null;
  /** Of a host that let us wait as long as we would, and until when nobody waits for it again. */
  #away: { readonly error: unknown; readonly until: number } | null = null;
  #active = 0;
  #closed = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(
    private readonly host: HostAccess,
    private readonly options: LinkOptions,
  ) {}

  async run(command: RemoteCommand): Promise<RemoteResult> {
    const commandLine = quoteCommand(command.argv);
    clearTimeout(this.#idle);
    this.#active += 1;
    const release = await this.#slots.take(command.deadlineMs);
    try {
      if (release === null) throw this.#busy(`${CHANNELS} commands have been running for ${command.deadlineMs / 1000} s`);
      return await this.#attempt(commandLine, command);
    } finally {
      release?.();
      this.#active -= 1;
      if (this.#active === 0) this.#closeWhenIdle();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    const connection = await this.#connection?.catch(() => null);
    this.#connection = null;
    connection?.destroy();
    await connection?.closed;
  }

  async #attempt(commandLine: string, command: RemoteCommand): Promise<RemoteResult> {
    for (let attempt = 1; ; attempt += 1) {
      const connection = await this.#connect();
      try {
        return await connection.run(commandLine, command);
      } catch (error) {
        if (!(error instanceof NotExecuted)) throw error;
        if (attempt === ATTEMPTS) {
          // sshd holds a connection to the configuration it was made under: one that was mended since counts for a new one.
          connection.retire();
          throw this.#busy(error.message);
        }
        // Several refused at once must not come back at once.
        await sleep(20 * 2 ** attempt * (0.5 + Math.random()));
      }
    }
  }

  async #connect(): Promise<SshConnection> {
    if (this.#closed) throw this.#busy('the orchestrator is closing its connections');
    const pending = this.#connection;
    if (pending) {
      const current = await pending;
      if (current.usable) return current;
      // Another caller may have replaced it while this one waited.
      if (this.#connection !== pending) return this.#connect();
    }
    if (this.#away !== null && performance.now() < this.#away.until) throw this.#away.error;
    const from = performance.now();
    const opening = connect(this.host, this.options);
    this.#connection = opening;
    opening.catch((error: unknown) => {
      if (this.#connection === opening) this.#connection = null;
      const now = performance.now();
      // A refusal costs nothing and may be over the next moment; what costs is to wait.
      const waited = isUnreachable(error) && now - from >= 0.9 * this.options.connectTimeoutMs;
      this.#away = waited ? { error, until: now + this.options.connectTimeoutMs } : null;
    });
    return opening;
  }

  #closeWhenIdle(): void {
    this.#idle = setTimeout(() => {
      void this.#connection?.then((connection) => connection.retire()).catch(() => undefined);
      this.#connection = null;
    }, this.options.idleMs).unref();
  }

  #busy(why: string): OperationalError {
    return new OperationalError('host.busy', 'busy', `${this.host.name} took no further command: ${why}`, {
      next: 'Nothing was executed; try again later.',
      facts: { host: this.host.name },
    });
  }
}

const isUnreachable = (error: unknown): boolean => error instanceof OperationalError && error.code === 'host.unreachable';
