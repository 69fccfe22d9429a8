import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { CoverageController } from './coverage.controller';
import { CoverageService } from './coverage.service';

/** How well VMs are protected. */
@Module({ imports: [EngineModule], controllers: [CoverageController], providers: [CoverageService] })
export class CoverageModule {}
