import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { OpenAPIObject } from '@nestjs/swagger';
import helmet from 'helmet';
import { Logger } from 'nestjs-pino';
import { AppModule, type Adapters } from './app.module';
import { OperationalError } from './domain/errors';
import { drain } from './drain';
import { Scheduler } from './engine/scheduler';
import { Watcher } from './engine/watcher';
import { Worker } from './engine/worker';
import { type Config, loadConfig } from './platform/config/load-config';
import { guardGate } from './platform/gate';
import { createLog } from './platform/log';
import { openApi, serveOpenApi } from './platform/openapi';
import { ProblemFilter } from './platform/problem.filter';
import { requestValidation } from './platform/validation';
import { Sweeper } from './upkeep/sweeper';

/** A running service. */
export interface Service {
  /** Where it listens. */
  readonly url: string;
  readonly app: INestApplication;
  /** Stops taking calls, lets go of the runs that go on (they live on their hosts), closes the books. */
  close(): Promise<void>;
}

async function createApp(config: Config, adapters: Partial<Adapters>): Promise<NestExpressApplication> {
  const module = AppModule.forRoot(config, adapters);
  const app = await NestFactory.create<NestExpressApplication>(module, {
    bodyParser: false,
    forceCloseConnections: true,
    // Nest would end the process by itself, with its own words.
    abortOnError: false,
    logger: false,
  });
  // Nest tells every route and module at level info; operators want to read about runs.
  app.useLogger(Object.assign(app.get(Logger), { log: () => undefined }));
  app.setGlobalPrefix('api/v1', { exclude: ['health/live', 'health/ready', 'metrics'] });
  app.useGlobalPipes(requestValidation());
  app.useGlobalFilters(app.get(ProblemFilter));
  guardGate(app, config.http.token, config.engine.role);
  // Swagger's page brings inline styles; nothing else is served as HTML.
  // The service itself speaks HTTP: a page whose scripts are asked for over HTTPS would stay empty.
  const directives = { 'style-src': ["'self'", "'unsafe-inline'"], 'upgrade-insecure-requests': null };
  app.use(helmet({ contentSecurityPolicy: { directives }, strictTransportSecurity: false }));
  return app;
}

/**
 * Starts the service: API and engine.
 * @param adapters replaces what leaves the process, for tests and the fake host.
 */
export async function startService(config: Config, adapters: Partial<Adapters> = {}): Promise<Service> {
  const app = await createApp(config, adapters);
  try {
    const { role } = config.engine;
    if (role !== 'worker') serveOpenApi(app);
    await listen(app, config.http);
    if (role !== 'api') startEngine(app);
  } catch (error) {
    await app.close();
    throw error;
  }
  const { address, port } = app.getHttpServer().address() as AddressInfo;
  const host = address.includes(':') ? `[${address}]` : address;
  return { url: `http://${host}:${port}`, app, close: () => app.close() };
}

/** What a worker does of its own accord, and an api never does. */
function startEngine(app: INestApplication): void {
  app.get(Scheduler).start();
  app.get(Worker).start();
  app.get(Watcher).start();
  app.get(Sweeper).start();
}

async function listen(app: INestApplication, { address, port }: Config['http']): Promise<void> {
  try {
    await app.listen(port, address);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'something listens there already' : message;
    throw new OperationalError('service.cannot-listen', 'failed', `Cannot listen on ${address}, port ${port}: ${why}.`, {
      next: 'Set CHAINKEEPER_HTTP_ADDRESS and CHAINKEEPER_HTTP_PORT to what is free on this machine; nothing was started.',
      cause: error,
    });
  }
}

/**
 * Runs the service until SIGINT or SIGTERM; a second one lets it wait for nothing more.
 * @param adapters as for `startService`
 */
export async function serve(config: Config, adapters: Partial<Adapters> = {}): Promise<void> {
  process.env['TZ'] = 'UTC';
  const log = createLog(config.log);
  const service = await startService(config, { log, ...adapters });
  const { owner, role } = config.engine;
  log.info({ url: service.url, owner, role, books: config.books.kind }, 'the service listens');
  const hurry = new AbortController();
  const signal = await new Promise<string>((stop) => {
    const signals = ['SIGINT', 'SIGTERM'] as const;
    const told = (name: string): void => {
      for (const one of signals) process.removeListener(one, told).on(one, () => hurry.abort());
      stop(name);
    };
    for (const one of signals) process.on(one, told);
  });
  log.info({ signal, drain: config.engine.drain }, 'stopping; runs that still go on then are adopted by whoever looks next');
  await drain(service.app, hurry.signal);
  await service.close();
}

/** The OpenAPI description, made without a server or a file. */
export async function describeApi(): Promise<OpenAPIObject> {
  const config = loadConfig({ CHAINKEEPER_DB_PATH: ':memory:', CHAINKEEPER_LOG_LEVEL: 'silent' });
  const app = await createApp(config, {});
  try {
    await app.init();
    return openApi(app);
  } finally {
    await app.close();
  }
}
