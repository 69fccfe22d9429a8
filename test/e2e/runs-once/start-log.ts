import { appendFileSync, readFileSync } from 'node:fs';
import type { FakeHost } from '../../../src/hosts/fake/fake-host';

/** What somebody saw of a backup's job: an orchestrator that it asks for it or oversleeps, the host that it begins and ends. */
export interface StartLine {
  readonly what: 'asked' | 'overslept' | 'began' | 'ended';
  readonly job: string;
  readonly vm: string;
  /** The lease's, as the host is told. */
  readonly epoch: number;
  /** Who wrote the line; the host's lines name no owner. */
  readonly pid: number;
  readonly owner: string | null;
  /** How it ended; null: not yet, or nobody saw how. */
  readonly exit: number | null;
  /** Milliseconds, by a clock that nobody sets wrong. */
  readonly at: number;
}

/** Every start of a backup, in one file that all processes append to: the word of each who asked, and the host's own. */
export class StartLog {
  constructor(private readonly file: string) {}

  /** An orchestrator is about to run this on the host. */
  asks(owner: string, argv: readonly string[]): void {
    const start = readStart(argv);
    if (start !== null) this.#add({ what: 'asked', ...start, owner, exit: null });
  }

  /** An orchestrator was held up: over the end of this job, or none. */
  overslept(owner: string, job = ''): void {
    this.#add({ what: 'overslept', job, vm: '', epoch: 0, owner, exit: null });
  }

  /** From now on hears of every job of this host. */
  listen(host: FakeHost): void {
    const put = host.jobs.set.bind(host.jobs);
    host.jobs.set = (id, job) => {
      const start = readStart(job.argv);
      if (start !== null) {
        this.#add({ what: 'began', ...start, owner: null, exit: null });
        void job.finished.then(() => this.#add({ what: 'ended', ...start, owner: null, exit: job.exit }));
      }
      return put(id, job);
    };
  }

  read(): StartLine[] {
    const lines = readFileSync(this.file, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as StartLine);
  }

  #add(line: Omit<StartLine, 'pid' | 'at'>): void {
    const at = performance.timeOrigin + performance.now();
    // One short write at the end of the file: the lines of several processes do not mix.
    appendFileSync(this.file, `${JSON.stringify({ ...line, pid: process.pid, at })}\n`);
  }
}

/** Null: it is no backup that is started. */
function readStart(argv: readonly string[]): Pick<StartLine, 'job' | 'vm' | 'epoch'> | null {
  const after = (word: string): string => argv[argv.indexOf(word) + 1] ?? '';
  if (!argv.includes('-o') || after('-o') !== 'backup') return null;
  return { job: after('--job'), vm: after('-v'), epoch: Number(after('--fence')) };
}
