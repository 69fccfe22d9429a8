/** Nobody looks more often than this, however often it rings: what fails at once must not be tried without a pause. */
const LEAST_MS = 20;

type Caller = (looked: boolean) => void;

/** Cuts the rest between two looks short. Who calls waits until a look that began after the call is over. */
export class Doorbell {
  #rung = false;
  #closed = false;
  /** Ends the pause that goes on; a ring ends only one that may be cut short. */
  #end: () => void = () => undefined;
  #mayEnd = false;
  /** Those who called since the last rest, and those who called before it and were not looked for yet. */
  readonly #callers: Caller[] = [];
  readonly #waiting: Caller[] = [];

  /** There is a reason to look. */
  ring(): void {
    this.#rung = true;
    if (this.#mayEnd) this.#end();
  }

  /** Rings, and answers whether somebody has looked: false when nobody does any more. */
  call(): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    return new Promise((answer) => {
      this.#callers.push(answer);
      this.ring();
    });
  }

  /** Rests until it rings, at most for so long. What rang since the last rest counts. */
  async rest(ms: number): Promise<void> {
    await this.#pause(Math.min(ms, LEAST_MS), false);
    if (!this.#rung) await this.#pause(ms - LEAST_MS, true);
    this.#rung = false;
    this.#waiting.push(...this.#callers.splice(0));
  }

  /** A look is over that began after the last rest: whoever called before is answered. */
  looked(): void {
    for (const answer of this.#waiting.splice(0)) answer(true);
  }

  /** Nobody looks any more: ends a rest that goes on, and tells all callers. */
  close(): void {
    this.#closed = true;
    this.#end();
    for (const answer of [...this.#callers.splice(0), ...this.#waiting.splice(0)]) answer(false);
  }

  async #pause(ms: number, mayEnd: boolean): Promise<void> {
    if (this.#closed || ms <= 0) return;
    this.#mayEnd = mayEnd;
    await new Promise<void>((end) => {
      const timer = setTimeout(end, ms);
      this.#end = () => {
        clearTimeout(timer);
        end();
      };
    });
    this.#mayEnd = false;
  }
}
