import { ChainkeeperError } from '../domain/errors';
import type { Log } from '../platform/log';

/** What a loop says of its looks: that they fail, once for each reason, and that they go well again. A database that is away must not fill the log. */
export class LookLog {
  /** Code of the error with which the last look ended. */
  #failing: string | null = null;

  constructor(
    private readonly log: Log,
    /** What it looks for, as in `looking for work`. */
    readonly what: string,
  ) {}

  /** The last look failed. */
  get failing(): boolean {
    return this.#failing !== null;
  }

  /** How a look ended; null: well. */
  ended(error: unknown): void {
    const code = error === null ? null : error instanceof ChainkeeperError ? error.code : 'unknown';
    if (code !== null && code !== this.#failing)
      this.log.error({ err: error }, `looking for ${this.what} failed; it goes on at every poll`);
    if (code === null && this.#failing !== null)
      this.log.info({ code: this.#failing }, `looking for ${this.what} goes well again`);
    this.#failing = code;
  }
}
