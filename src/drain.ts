import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { INestApplication } from '@nestjs/common';
import { Scheduler } from './engine/scheduler';
import { Watcher } from './engine/watcher';
import { Worker } from './engine/worker';
import { Config } from './platform/config/load-config';
import { Draining } from './platform/health/draining';
import { LOG, type Log } from './platform/log';
import { Sweeper } from './upkeep/sweeper';

/**
 * Brings an instance to where it can be closed: it is not ready any more, begins nothing, and finishes its runs or lets go of them. Until the
 * end it answers calls.
 * @param hurry aborts when nobody wants to wait any longer: what goes on is let go at once.
 */
export async function drain(app: INestApplication, hurry: AbortSignal): Promise<void> {
  const { drain: how, drainSeconds, drainFinishSeconds } = app.get(Config).engine;
  app.get(Draining).begin();
  const noticed = sleep(drainSeconds * 1000, undefined, { signal: hurry }).catch(() => undefined);
  const worker = app.get(Worker);
  app.get(Sweeper).stop();
  await Promise.all([app.get(Scheduler).stop(), app.get(Watcher).stop(), worker.stop()]);
  if (how === 'finish') await finish(worker, drainFinishSeconds, hurry, app.get<Log>(LOG));
  await worker.letGo();
  await noticed;
}

async function finish(worker: Worker, seconds: number, hurry: AbortSignal, log: Log): Promise<void> {
  if (worker.driving === 0) return;
  log.info({ runs: worker.driving, seconds }, 'runs that go on are finished first; another signal lets go of them');
  const limit = AbortSignal.any([hurry, AbortSignal.timeout(seconds * 1000)]);
  if (!limit.aborted) await Promise.race([worker.ended(), once(limit, 'abort')]);
  if (worker.driving > 0) log.warn({ runs: worker.driving }, 'runs still go on; they are let go of');
}
