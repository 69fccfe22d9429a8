import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { PreviewService } from './preview.service';
import { RestartForecastController } from './restart-forecast.controller';
import { RestartForecastService } from './restart-forecast.service';
import { SchedulesController } from './schedules.controller';
import { SchedulesService } from './schedules.service';
import { StartRulesController } from './start-rules.controller';
import { StartRulesService } from './start-rules.service';

/** When VMs are backed up. */
@Module({
  imports: [EngineModule],
  controllers: [SchedulesController, StartRulesController, RestartForecastController],
  providers: [SchedulesService, PreviewService, StartRulesService, RestartForecastService],
})
export class SchedulesModule {}
