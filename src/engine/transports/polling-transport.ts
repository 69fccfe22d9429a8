import type { JobTransport } from './job-transport';

/** Nobody is told of anything, everybody looks: all that one instance needs, and what every other transport falls back to. */
export class PollingTransport implements JobTransport {
  readonly trouble = null;

  constructor(readonly restMs: number) {}

  tell(): void {
    // It is in the books.
  }

  listen(): void {
    // Nobody will call.
  }

  async leave(): Promise<void> {
    // Nobody called.
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}
