import { Module } from '@nestjs/common';
import { BetweenRuns } from './between-runs';
import { BookReader } from './book-reader';
import { Deleter } from './deleter';
import { JobDriver } from './job-driver';
import { Planner } from './planner';
import { Recorder } from './recorder';
import { Retainer } from './retainer';
import { Runner } from './runner';
import { Worker } from './worker';

/** The moving parts: who claims a run, and how it is driven. */
@Module({
  providers: [BetweenRuns, BookReader, Deleter, JobDriver, Planner, Recorder, Retainer, Runner, Worker],
  exports: [BetweenRuns, BookReader, Deleter, Planner, Retainer, Worker],
})
export class EngineModule {}
