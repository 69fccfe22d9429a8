import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { PreviewService } from './preview.service';
import { SchedulesController } from './schedules.controller';
import { SchedulesService } from './schedules.service';
import { StartRulesController } from './start-rules.controller';
import { StartRulesService } from './start-rules.service';

/** When VMs are backed up. */
@Module({
  imports: [EngineModule],
  controllers: [SchedulesController, StartRulesController],
  providers: [SchedulesService, PreviewService, StartRulesService],
})
export class SchedulesModule {}
