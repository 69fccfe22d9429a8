import { type DynamicModule, Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { AuditModule } from './audit/audit.module';
import { BitmapsModule } from './bitmaps/bitmaps.module';
import { BackupsModule } from './backups/backups.module';
import { ChainsModule } from './chains/chains.module';
import { CoverageModule } from './coverage/coverage.module';
import { DatabaseModule } from './database/database.module';
import { probeBooks } from './database/probe-books';
import { UnitOfWork } from './database/unit-of-work';
import { EngineModule } from './engine/engine.module';
import { EventsModule } from './events/events.module';
import { JOB_TRANSPORT, type JobTransport } from './engine/transports/job-transport';
import type { HostClient } from './hosts/host-client';
import { HOST_CLIENT } from './hosts/host-client.token';
import { ScriptHostClient } from './hosts/script-host-client';
import { SshShell } from './hosts/ssh/ssh-shell';
import { InventoryModule } from './inventory/inventory.module';
import { MetricsController } from './metrics/metrics.controller';
import { MetricsService } from './metrics/metrics.service';
import { Tally } from './metrics/tally';
import { Config } from './platform/config/load-config';
import { Draining } from './platform/health/draining';
import { HealthController } from './platform/health/health.controller';
import { Readiness, READINESS, type ReadinessCheck } from './platform/health/readiness';
import { createLog, LOG, type Log } from './platform/log';
import { ProblemFilter } from './platform/problem.filter';
import { RestoresModule } from './restores/restores.module';
import { RetentionModule } from './retention/retention.module';
import { RunsModule } from './runs/runs.module';
import { SchedulesModule } from './schedules/schedules.module';
import { UpkeepModule } from './upkeep/upkeep.module';

/** What leaves the process, and can be replaced: by the fake host, by a test's log. */
export interface Adapters {
  readonly hostClient: HostClient;
  readonly log: Log;
}

/** What every feature may ask for. */
@Global()
@Module({})
class PlatformModule implements OnApplicationShutdown {
  constructor(@Inject(HOST_CLIENT) private readonly client: HostClient) {}

  static with(config: Config, { hostClient, log }: Adapters): DynamicModule {
    return {
      module: PlatformModule,
      providers: [
        { provide: Config, useValue: config },
        { provide: LOG, useValue: log },
        { provide: HOST_CLIENT, useValue: hostClient },
      ],
      exports: [Config, LOG, HOST_CLIENT],
    };
  }

  onApplicationShutdown(): Promise<void> {
    return this.client.close();
  }
}

/** @throws Error with what is wrong */
async function probeTransport({ trouble }: JobTransport): Promise<void> {
  if (trouble !== null) throw new Error(trouble);
}

/** The composition root: the one file that wires adapters to features. */
@Module({})
export class AppModule {
  static forRoot(config: Config, adapters: Partial<Adapters> = {}): DynamicModule {
    const log = adapters.log ?? createLog(config.log);
    const hostClient =
      adapters.hostClient ??
      new ScriptHostClient(new SshShell(), {
        deadlineMs: config.ssh.deadlineSeconds * 1000,
        warn: (host, text) => log.warn({ host: host.name, detail: text }, 'the host said something that we do not know'),
      });
    return {
      module: AppModule,
      imports: [
        LoggerModule.forRoot({
          pinoHttp: { logger: log, quietReqLogger: true, autoLogging: log.isLevelEnabled('debug') },
          forRoutes: ['{*path}'],
        }),
        PlatformModule.with(config, { hostClient, log }),
        DatabaseModule.with(config.books),
        EngineModule,
        InventoryModule,
        RestoresModule,
        RetentionModule,
        RunsModule,
        SchedulesModule,
        BackupsModule,
        ChainsModule,
        BitmapsModule,
        AuditModule,
        CoverageModule,
        EventsModule,
        UpkeepModule,
      ],
      controllers: [HealthController, MetricsController],
      providers: [
        ProblemFilter,
        Draining,
        MetricsService,
        Tally,
        Readiness,
        {
          provide: READINESS,
          useFactory: (work: UnitOfWork, transport: JobTransport): ReadinessCheck[] => [
            { name: 'books', check: () => probeBooks(work) },
            ...(config.redis.url === undefined ? [] : [{ name: 'redis', spare: true, check: () => probeTransport(transport) }]),
          ],
          inject: [UnitOfWork, JOB_TRANSPORT],
        },
      ],
    };
  }
}
