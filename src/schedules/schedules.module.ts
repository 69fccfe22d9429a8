import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { PreviewService } from './preview.service';
import { SchedulesController } from './schedules.controller';
import { SchedulesService } from './schedules.service';

/** When VMs are backed up. */
@Module({ imports: [EngineModule], controllers: [SchedulesController], providers: [SchedulesService, PreviewService] })
export class SchedulesModule {}
