import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { RunsModule } from '../runs/runs.module';
import { BackupsController } from './backups.controller';
import { BackupsService } from './backups.service';
import { DeletionsService } from './deletions.service';

/** Backups: restore points. */
@Module({ imports: [EngineModule, RunsModule], controllers: [BackupsController], providers: [BackupsService, DeletionsService] })
export class BackupsModule {}
