import { Module } from '@nestjs/common';
import { RunPresenter } from './present-run';
import { RunsController } from './runs.controller';
import { RunsService } from './runs.service';

/** Runs: attempts to take, delete or restore a backup. */
@Module({ controllers: [RunsController], providers: [RunsService, RunPresenter], exports: [RunPresenter] })
export class RunsModule {}
