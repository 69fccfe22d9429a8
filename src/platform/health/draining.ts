import { Injectable } from '@nestjs/common';

/** Whether this instance is being stopped: balancers send it nothing more, and it still answers what comes. */
@Injectable()
export class Draining {
  #begun = false;

  begin(): void {
    this.#begun = true;
  }

  /** As a readiness check. @throws Error once it has begun */
  check(): Promise<void> {
    return this.#begun ? Promise.reject(new Error('this instance is being stopped and takes nothing new.')) : Promise.resolve();
  }
}
