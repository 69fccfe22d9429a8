import { setTimeout as sleep } from 'node:timers/promises';
import { Controller, Get, Inject, Optional } from '@nestjs/common';
import { ApiOkResponse, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import { OperationalError } from '../../domain/errors';
import { Draining } from './draining';

/** One thing that must work before the service takes calls; it throws when it does not. */
export interface ReadinessCheck {
  readonly name: string;
  /** The service does its work without it too, only not as well: it is ready, and says so. */
  readonly spare?: boolean;
  check(): Promise<void>;
}

/** How long a check may take; what answers later answers no call in time either. */
const ANSWER_MS = 2_000;

/** Injection token of the readiness checks, wired in the composition root. */
export const READINESS = Symbol('readiness');

/** Health for balancers and people: alive means the process turns, ready means that calls will be answered. */
@ApiTags('health')
@Controller('health')
export class HealthController {
  readonly #going = new Map<string, Promise<void>>();

  constructor(
    private readonly draining: Draining,
    @Optional() @Inject(READINESS) private readonly checks: readonly ReadinessCheck[] = [],
  ) {}

  @Get('live')
  @ApiOkResponse({ description: 'The process turns.' })
  live(): { status: string } {
    return { status: 'ok' };
  }

  @Get('ready')
  @ApiOkResponse({ description: 'Calls will be answered. `degraded` names what does not work and is not needed for that.' })
  @ApiServiceUnavailableResponse({
    description: 'Something that every call needs does not work, and the problem names it; or this instance is being stopped.',
  })
  async ready(): Promise<{ status: string; checks: string[]; degraded?: string[] }> {
    this.draining.refuse();
    const degraded: string[] = [];
    for (const part of this.checks)
      await this.#ask(part).catch((error: unknown) => {
        if (part.spare) return void degraded.push(`${part.name}: ${(error as Error).message}`);
        throw new OperationalError('service.not-ready', 'unreachable', `${part.name}: ${(error as Error).message}`, {
          cause: error,
        });
      });
    const checks = this.checks.map(({ name }) => name);
    return degraded.length === 0 ? { status: 'ok', checks } : { status: 'degraded', checks, degraded };
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
