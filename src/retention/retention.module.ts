import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { RetentionController } from './retention.controller';
import { RetentionService } from './retention.service';

/** Which restore points are kept, and which go. */
@Module({ imports: [EngineModule], controllers: [RetentionController], providers: [RetentionService] })
export class RetentionModule {}
