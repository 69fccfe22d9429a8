import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { RunsModule } from '../runs/runs.module';
import { RestoresController } from './restores.controller';
import { RestoresService } from './restores.service';

/** Restores: getting data back. */
@Module({
  imports: [EngineModule, RunsModule],
  controllers: [RestoresController],
  providers: [RestoresService],
})
export class RestoresModule {}
