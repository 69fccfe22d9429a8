import { Module } from '@nestjs/common';
import { Runs } from '../database/repositories/runs';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { BetweenRuns } from './between-runs';
import { BookReader } from './book-reader';
import { Deleter } from './deleter';
import { Describer } from './describer';
import { Hasher } from './hasher';
import { JobDriver } from './job-driver';
import { NasHosts } from './nas-hosts';
import { Planner } from './planner';
import { Recorder } from './recorder';
import { Restorer } from './restorer';
import { Retainer } from './retainer';
import { Runner } from './runner';
import { JOB_TRANSPORT } from './transports/job-transport';
import { openTransport } from './transports/open-transport';
import { Worker } from './worker';

/** The moving parts: who claims a run, and how it is driven. */
@Module({
  providers: [
    BetweenRuns,
    BookReader,
    Deleter,
    Describer,
    Hasher,
    JobDriver,
    NasHosts,
    Planner,
    Recorder,
    Restorer,
    Retainer,
    Runner,
    Worker,
    {
      provide: JOB_TRANSPORT,
      useFactory: async (config: Config, log: Log, runs: Runs) => {
        const transport = await openTransport(config, log);
        runs.onQueued((runId) => transport.tell(runId));
        return transport;
      },
      inject: [Config, LOG, Runs],
    },
  ],
  exports: [JOB_TRANSPORT, BetweenRuns, BookReader, Deleter, Describer, Hasher, NasHosts, Planner, Restorer, Retainer, Worker],
})
export class EngineModule {}
