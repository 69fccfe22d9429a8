import { Injectable } from '@nestjs/common';
import { OperationalError } from '../../domain/errors';

/** Whether this instance is being stopped: balancers send it nothing more, and it still answers what comes. */
@Injectable()
export class Draining {
  #begun = false;

  begin(): void {
    this.#begun = true;
  }

  /** @throws OperationalError `service.draining` once it has begun */
  refuse(): void {
    if (this.#begun)
      throw new OperationalError(
        'service.draining',
        'unreachable',
        'draining: this instance is being stopped and takes nothing new.',
        {
          next: 'Call another instance.',
        },
      );
  }
}
