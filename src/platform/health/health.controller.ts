import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import { OperationalError } from '../../domain/errors';
import { Draining } from './draining';
import { Readiness } from './readiness';

/** Health for balancers and people: alive means the process turns, ready means that calls will be answered. */
@ApiTags('health')
@Controller('health')
export class HealthController {
  constructor(
    private readonly draining: Draining,
    private readonly readiness: Readiness,
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
    const parts = await this.readiness.look();
    const degraded: string[] = [];
    for (const { name, spare, trouble } of parts) {
      if (trouble === null) continue;
      const words = `${name}: ${trouble.message}`;
      if (!spare) throw new OperationalError('service.not-ready', 'unreachable', words, { cause: trouble });
      degraded.push(words);
    }
    const checks = parts.map(({ name }) => name);
    return degraded.length === 0 ? { status: 'ok', checks } : { status: 'degraded', checks, degraded };
  }
}
