import { Module } from '@nestjs/common';
import { BetweenRuns } from './between-runs';
import { BookReader } from './book-reader';
import { Deleter } from './deleter';
import { Describer } from './describer';
import { Hasher } from './hasher';
import { NasHosts } from './nas-hosts';
import { Planner } from './planner';
import { Recorder } from './recorder';
import { Runner } from './runner';
import { Worker } from './worker';

/** The moving parts: who claims a run, and how it is driven. */
@Module({
  providers: [BetweenRuns, BookReader, Deleter, Describer, Hasher, NasHosts, Planner, Recorder, Runner, Worker],
  exports: [BetweenRuns, BookReader, Deleter, Describer, Hasher, NasHosts, Planner, Worker],
})
export class EngineModule {}
