import { OperationalError } from '../../domain/errors';
import type { Config } from '../../platform/config/load-config';
import type { Log } from '../../platform/log';
import { BullmqTransport } from './bullmq-transport';
import type { JobTransport } from './job-transport';
import { PollingTransport } from './polling-transport';

/** The transport that the settings ask for. Redis need not be there, what speaks to it must. @throws OperationalError `transport.not-installed` */
export async function openTransport({ redis, engine }: Config, log: Log): Promise<JobTransport> {
  if (redis.url === undefined) return new PollingTransport(engine.pollMs);
  // Loaded only here: who has one instance needs neither of them.
  const packages = await Promise.all([import('bullmq'), import('ioredis')]).catch((error: unknown) => {
    throw new OperationalError(
      'transport.not-installed',
      'failed',
      'CHAINKEEPER_REDIS_URL is set, and the packages that speak to Redis are not installed.',
      {
        next: 'Run "npm install --include=optional" (it brings bullmq and ioredis), or unset CHAINKEEPER_REDIS_URL.',
        cause: error,
      },
    );
  });
  return BullmqTransport.open(packages, redis.url, engine.pollMs, log);
}
