import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { RestartForecastDto, RestartForecastQuery } from './dto/restart-forecast.dto';
import { RestartForecastService } from './restart-forecast.service';

/** What restarts of hosts cost. */
@ApiTags('hosts')
@Controller('hosts/:id/restart-forecast')
export class RestartForecastController {
  constructor(private readonly forecasts: RestartForecastService) {}

  /** Says what a restart of a host would cost now: which VMs would need a full, why, and how those would be spread. */
  @Get()
  forecast(@Param('id') id: string, @Query() query: RestartForecastQuery): Promise<RestartForecastDto> {
    return this.forecasts.forecast(id, query);
  }
}
