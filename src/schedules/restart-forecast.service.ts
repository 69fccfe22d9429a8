import { Injectable } from '@nestjs/common';
import { Dues } from '../database/repositories/dues';
import { Hosts } from '../database/repositories/hosts';
import { RestartForecaster } from '../engine/restart-forecaster';
import { found } from '../platform/found';
import type { RestartForecastDto, RestartForecastQuery } from './dto/restart-forecast.dto';

/** What restarts of hosts cost. */
@Injectable()
export class RestartForecastService {
  constructor(
    private readonly hosts: Hosts,
    private readonly dues: Dues,
    private readonly forecaster: RestartForecaster,
  ) {}

  async forecast(id: string, { crash = false }: RestartForecastQuery): Promise<RestartForecastDto> {
    const host = found(await this.hosts.find(id), 'host', id);
    const now = (await this.dues.now()).getTime();
    const { sentence, fulls, spared } = await this.forecaster.forecast(host, !crash);
    return {
      ...{ host: host.name, crash, sentence },
      fulls: fulls.map(({ vm, inSeconds, sentence: why }) => ({
        ...{ vm, startsAt: inSeconds === null ? null : new Date(now + inSeconds * 1000).toISOString(), sentence: why },
      })),
      spared: [...spared],
    };
  }
}
