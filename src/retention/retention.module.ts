import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { RunsModule } from '../runs/runs.module';
import { ComparisonController } from './comparison.controller';
import { ComparisonService } from './comparison.service';
import { PoliciesService } from './policies.service';
import { RetentionController } from './retention.controller';
import { RetentionService } from './retention.service';

/** Which restore points are kept, and which go. */
@Module({
  imports: [EngineModule, RunsModule],
  controllers: [RetentionController, ComparisonController],
  providers: [RetentionService, PoliciesService, ComparisonService],
})
export class RetentionModule {}
