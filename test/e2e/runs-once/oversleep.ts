import { type Random } from '../../fuzz/random';
import type { RemoteCommand, RemoteResult, RemoteShell } from '../../../src/hosts/remote-shell';
import { Claims } from '../../../src/database/repositories/claims';
import type { HostAccess } from '../../../src/hosts/host-access';
import type { StartLog } from './start-log';

const LONGEST_MS = 8000;
const CLAIM_MS = 3000;
const LOOK_MS = 20;

/**
 * Holds this whole process up where it hurts most, once in so many times: when it knows that a job has ended, until another has taken the run
 * over; and when it has seen that a run waits, until another has probably ended it. Chance alone seldom meets these moments.
 */
export class Oversleep {
  constructor(
    private readonly owner: string,
    private readonly log: StartLog,
    private readonly random: Random,
    private readonly oneIn: number,
  ) {}

  /** A shell that sleeps over the news of an end. */
  over(shell: RemoteShell): RemoteShell {
    return {
      run: async (host: HostAccess, command: RemoteCommand): Promise<RemoteResult> => {
        this.log.asks(this.owner, command.argv);
        const result = await shell.run(host, command);
        const job = command.argv[command.argv.indexOf('--job') + 1] ?? '';
        if (command.argv.includes('status') && result.stdout.includes('"state":"done"') && this.random.oneIn(this.oneIn)) {
          block(() => this.log.read().some((line) => line.what === 'asked' && line.job === job && line.owner !== this.owner));
          this.log.overslept(this.owner, job);
        }
        return result;
      },
      close: () => shell.close(),
    };
  }

  /** From now on sleeps over claims too. */
  overClaims(): void {
    const { take } = Claims.prototype;
    const sleep = (): void => {
      block(() => false, CLAIM_MS);
      this.log.overslept(this.owner);
    };
    const sleeps = (): boolean => this.random.oneIn(this.oneIn);
    Claims.prototype.take = function (...parts) {
      if (sleeps()) sleep();
      return take.apply(this, parts);
    };
  }
}

/** Nothing of this process goes on meanwhile, as if it were stopped. */
function block(over: () => boolean, longestMs = LONGEST_MS): void {
  const still = new Int32Array(new SharedArrayBuffer(4));
  for (const end = performance.now() + longestMs; performance.now() < end && !over();) Atomics.wait(still, 0, 0, LOOK_MS);
}
