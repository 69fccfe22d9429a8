import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { RunPresenter } from './present-run';
import { RunsController } from './runs.controller';
import { RunsService } from './runs.service';

/** Runs: attempts to take, delete or restore a backup. */
@Module({
  imports: [EngineModule],
  controllers: [RunsController],
  providers: [RunsService, RunPresenter],
  exports: [RunPresenter],
})
export class RunsModule {}
