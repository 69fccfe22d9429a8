import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { SweepService } from './sweep.service';
import { Sweeper } from './sweeper';
import { UpkeepController } from './upkeep.controller';

/** The upkeep of hosts: what was left behind on them. */
@Module({ imports: [EngineModule], controllers: [UpkeepController], providers: [SweepService, Sweeper], exports: [Sweeper] })
export class UpkeepModule {}
