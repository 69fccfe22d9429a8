import pino, { type DestinationStream, type Logger } from 'pino';
import type { LogConfig } from './config/log.config';

/** The service's log: JSON lines with `runId`, `vm`, `chainId` and `host` where they are known. */
export type Log = Logger;

/** Injection token of the log: pino's `Logger` is an interface and has no class to inject by. */
export const LOG = Symbol('log');

/**
 * Paths that are cut out of every log line. The first defence is not to log a secret; this is the second.
 */
const SECRETS = ['token', 'password', 'mountOptions', 'credentials', 'secrets', 'authorization'];

/** Makes the log. `to` is for tests; stdout otherwise. */
export function createLog(config: Pick<LogConfig, 'level'>, to?: DestinationStream): Log {
  const options: pino.LoggerOptions = {
    level: config.level,
    base: { service: 'chainkeeper' },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [...SECRETS, ...SECRETS.map((name) => `*.${name}`), 'req.headers.authorization', 'req.headers.cookie'],
      censor: '(redacted)',
    },
    formatters: { level: (label) => ({ level: label }) },
  };
  return to ? pino(options, to) : pino(options);
}
