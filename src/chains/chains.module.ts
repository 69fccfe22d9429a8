import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { ChainsController } from './chains.controller';
import { ChainsService } from './chains.service';

/** Chains: a full and the incrementals that follow it. */
@Module({ imports: [EngineModule], controllers: [ChainsController], providers: [ChainsService] })
export class ChainsModule {}
