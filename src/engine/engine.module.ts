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
import { Queue } from './queue';
import { Recorder } from './recorder';
import { RestartForecaster } from './restart-forecaster';
import { Restorer } from './restorer';
import { Retainer } from './retainer';
import { Rhythms } from './rhythms';
import { Runner } from './runner';
import { Scheduler } from './scheduler';
import { SpoiltFiles } from './spoilt-files';
import { StartRuleReader } from './start-rule-reader';
import { StartTimes } from './start-times';
import { Watcher } from './watcher';
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
    Queue,
    Recorder,
    RestartForecaster,
    Restorer,
    Retainer,
    Rhythms,
    Runner,
    Scheduler,
    SpoiltFiles,
    StartRuleReader,
    StartTimes,
    Watcher,
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
  exports: [
    JOB_TRANSPORT,
    BetweenRuns,
    BookReader,
    Deleter,
    Describer,
    Hasher,
    NasHosts,
    Planner,
    Queue,
    RestartForecaster,
    Restorer,
    Retainer,
    Rhythms,
    Scheduler,
    StartRuleReader,
    StartTimes,
    Watcher,
    Worker,
  ],
})
export class EngineModule {}
