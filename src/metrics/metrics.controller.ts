import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiProduces, ApiTags } from '@nestjs/swagger';
import { METRICS_TYPE } from '../platform/metrics/write-metrics';
import { MetricsService } from './metrics.service';

/** What Prometheus asks for. */
@ApiTags('health')
@Controller('metrics')
export class MetricsController {
  constructor(private readonly metrics: MetricsService) {}

  /** Tells how the service is in numbers (docs/metrics.md), in the text format of Prometheus. */
  @Get()
  @Header('content-type', METRICS_TYPE)
  @ApiProduces('text/plain')
  @ApiOkResponse({ description: 'All metrics. Without its books an instance tells of itself alone.', type: String })
  tell(): Promise<string> {
    return this.metrics.text();
  }
}
