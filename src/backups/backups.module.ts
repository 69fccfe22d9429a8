import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { RunsModule } from '../runs/runs.module';
import { BackupsController } from './backups.controller';
import { BackupsService } from './backups.service';
import { ChecksumsService } from './checksums.service';
import { DeletionsService } from './deletions.service';
import { RunbookService } from './runbook.service';

/** Backups: restore points. */
@Module({
  imports: [EngineModule, RunsModule],
  controllers: [BackupsController],
  providers: [BackupsService, ChecksumsService, DeletionsService, RunbookService],
})
export class BackupsModule {}
