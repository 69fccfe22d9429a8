import type { Client, ClientChannel } from 'ssh2';
import { OperationalError } from '../../domain/errors';
import type { RemoteCommand, RemoteResult } from '../remote-shell';
import { capped } from './capped';

const STDOUT_CAP = 16 * 1024 * 1024;
const STDERR_CAP = 1024 * 1024;

const UNSEEN: RemoteResult = { stdout: '', stderr: '', exit: null, signal: null, truncated: false };

/** The host did not begin the command: it may safely be sent again. */
export class NotExecuted extends Error {}

/** One authenticated connection; commands run side by side in channels of their own. */
export class SshConnection {
  readonly closed: Promise<void>;
  #lost = false;
  #retired = false;
  #running = 0;

  constructor(
    private readonly client: Client,
    private readonly hostName: string,
  ) {
    this.closed = new Promise((resolve) =>
      client.once('close', () => {
        this.#lost = true;
        resolve();
      }),
    );
    // What goes wrong is told by the channels; without a listener it would end the process.
    client.on('error', () => {
      this.#lost = true;
    });
  }

  /** False once it is lost or retired. */
  get usable(): boolean {
    return !this.#lost && !this.#retired;
  }

  /** Takes no more commands and ends with the last that runs. */
  retire(): void {
    this.#retired = true;
    if (this.#running === 0) this.client.end();
  }

  /** Ends it at once; commands that run lose their exit code. */
  destroy(): void {
    this.#retired = true;
    this.client.destroy();
  }

  async run(commandLine: string, command: RemoteCommand): Promise<RemoteResult> {
    this.#running += 1;
    try {
      return await this.#exec(commandLine, command);
    } finally {
      this.#running -= 1;
      if (this.#retired && this.#running === 0) this.client.end();
    }
  }

  #exec(commandLine: string, command: RemoteCommand): Promise<RemoteResult> {
    return new Promise((resolve, reject) => {
      let channel: ClientChannel | undefined;
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        channel?.close();
        // sshd keeps the session of a command that hangs, so those who come next get a new connection.
        this.retire();
        reject(this.#timeout(command));
      }, command.deadlineMs);
      const opened = (error: Error | undefined, open?: ClientChannel): void => {
        channel = open;
        if (late) {
          channel?.close();
        } else if (channel) {
          // At once, not a promise later: the exit code may stand in the packet that is being read.
          this.#collect(channel, command, (result) => {
            clearTimeout(timer);
            resolve(result);
          });
        } else {
          clearTimeout(timer);
          // Lost while the request was on its way: it may have been begun.
          if (this.#lost && error?.message === 'Unable to exec') resolve(UNSEEN);
          else reject(new NotExecuted(error?.message ?? 'no channel', { cause: error }));
        }
      };
      try {
        this.client.exec(commandLine, opened);
      } catch (error) {
        opened(error as Error);
      }
    });
  }

  #collect(channel: ClientChannel, command: RemoteCommand, done: (result: RemoteResult) => void): void {
    let exit: number | null = null;
    let signal: string | null = null;
    const stdout = capped(channel, command.stdoutCap ?? STDOUT_CAP);
    const stderr = capped(channel.stderr, command.stderrCap ?? STDERR_CAP);
    let open = 2;
    const closed = (): void => {
      open -= 1;
      if (open > 0) return;
      done({
        stdout: stdout.text(),
        stderr: stderr.text(),
        // Lost on the way: even after a code the last words may be missing.
        exit: this.#lost ? null : exit,
        signal,
        truncated: stdout.truncated() || stderr.truncated(),
      });
    };
    channel.on('exit', (code: number | null, name?: string) => {
      exit = code;
      signal = name?.replace(/^SIG/, '') ?? null;
    });
    channel.on('close', closed);
    channel.stderr.on('close', closed);
    // A program that does not read its stdin is no fault of the command's.
    channel.on('error', () => undefined);
    channel.end(command.stdin ?? '');
  }

  #timeout({ argv, deadlineMs }: RemoteCommand): OperationalError {
    return new OperationalError('host.timeout', 'unreachable', `${this.hostName} gave no answer within ${deadlineMs / 1000} s`, {
      next: 'What came of it is unknown; it is found out by asking the host again.',
      facts: { host: this.hostName, program: programOf(argv) },
    });
  }
}

/** The program alone: arguments may be long, and are nobody's business in an error. */
const programOf = (argv: readonly string[]): string => argv[0] ?? '';
