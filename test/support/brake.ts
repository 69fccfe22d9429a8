import type { FakeHost } from '../../src/hosts/fake/fake-host';

/** Holds the runs of a fake host before every phase, so that a test meets them in the middle without counting on time. */
export class Brake {
  readonly #waiting = new Set<() => void>();

  constructor(private readonly host: FakeHost) {
    host.pace = (signal?: AbortSignal) =>
      new Promise((go) => {
        const on = (): void => {
          this.#waiting.delete(on);
          go();
        };
        this.#waiting.add(on);
        if (signal?.aborted) on();
        else signal?.addEventListener('abort', on, { once: true });
      });
  }

  /** Lets what waits go on to its next phase. */
  step(): void {
    for (const on of [...this.#waiting]) on();
  }

  /** Lets everything go its way, from now on too. */
  release(): void {
    this.host.pace = () => Promise.resolve();
    this.step();
  }
}

/** Waits until it is so; a minute is for a machine that does ten other things. */
export async function until(so: () => Promise<boolean> | boolean, what: string, minutes = 1): Promise<void> {
  for (const deadline = Date.now() + minutes * 60_000; Date.now() < deadline;) {
    if (await so()) return;
    await new Promise((wake) => setTimeout(wake, 20));
  }
  throw new Error(`${minutes === 1 ? 'a minute has' : `${minutes} minutes have`} passed, and still not: ${what}`);
}
