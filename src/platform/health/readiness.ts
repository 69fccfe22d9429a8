import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Optional } from '@nestjs/common';

/** One thing that must work before the service takes calls; it throws when it does not. */
export interface ReadinessCheck {
  readonly name: string;
  /** The service does its work without it too, only not as well: it is ready, and says so. */
  readonly spare?: boolean;
  check(): Promise<void>;
}

/** What a check came to; `trouble` null: it works. */
export interface CheckedPart {
  readonly name: string;
  readonly spare: boolean;
  readonly trouble: Error | null;
}

/** How long a check may take; what answers later answers no call in time either. */
const ANSWER_MS = 2_000;

/** Injection token of the readiness checks, wired in the composition root. */
export const READINESS = Symbol('readiness');

/** Whether what the service needs works. */
@Injectable()
export class Readiness {
  readonly #going = new Map<string, Promise<void>>();

  constructor(@Optional() @Inject(READINESS) private readonly checks: readonly ReadinessCheck[] = []) {}

  /** Asks every check. */
  look(): Promise<CheckedPart[]> {
    return Promise.all(
      this.checks.map(async (part) => ({
        ...{ name: part.name, spare: part.spare ?? false },
        trouble: await this.#ask(part).then(
          () => null,
          (error: unknown) => error as Error,
        ),
      })),
    );
  }

  /** However many want to know, a check goes on once: what hangs must not pile up. */
  #ask(part: ReadinessCheck): Promise<void> {
    const going = this.#going.get(part.name) ?? part.check().finally(() => this.#going.delete(part.name));
    this.#going.set(part.name, going);
    const late = sleep(ANSWER_MS, undefined, { ref: false }).then(() => {
      throw new Error(`No answer within ${ANSWER_MS / 1000} s.`);
    });
    return Promise.race([going, late]);
  }
}
