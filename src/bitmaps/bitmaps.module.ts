import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { BitmapsController } from './bitmaps.controller';
import { BitmapsService } from './bitmaps.service';

/** The bitmaps on VMs: what is there, and how to take it off. */
@Module({ imports: [EngineModule], controllers: [BitmapsController], providers: [BitmapsService] })
export class BitmapsModule {}
