import { Module } from '@nestjs/common';
import { BookReader } from './book-reader';
import { Planner } from './planner';
import { Recorder } from './recorder';
import { Runner } from './runner';
import { Worker } from './worker';

/** The moving parts: who claims a run, and how it is driven. */
@Module({
  providers: [BookReader, Planner, Recorder, Runner, Worker],
  exports: [BookReader, Planner, Worker],
})
export class EngineModule {}
