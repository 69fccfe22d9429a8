import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SqliteFile } from '../../src/database/sqlite-driver';
import { until } from '../support/brake';
import { type NodeScript, startScript } from '../support/node-script';
import type { Fault } from './fault';
import type { Step, Stricken } from './stricken';

const run = promisify(execFile);

/** Longer than a lease. */
const AWAY_MS = 4000;
/** Longer than a lease, and than the service waits for somebody else by itself. */
const LOCKED_MS = 8000;

/** The books are away, the service lives and says so; they come back, and it says that, too. */
export const away =
  (comeBack: (host: Stricken) => Promise<void>, forMs = AWAY_MS): NonNullable<Fault['mend']> =>
  async (host) => {
    try {
      await until(async () => !(await host.isReady()), 'the service says that it is not ready');
      await sleep(forMs);
      if (await host.isReady()) throw new Error('the service says that it is ready, and its books are away');
    } finally {
      await comeBack(host);
    }
    await until(() => host.isReady(), 'the service is ready again');
  };

const server = (what: string, signal: 'SIGKILL' | 'SIGTERM', steps: readonly Step[], quick?: Step): Fault[] =>
  steps.map((step) => ({
    what,
    step,
    outcomes: /^succeeded$/,
    books: ['mariadb'],
    quick: step === quick,
    strike: ({ databases }) => databases.server().end(signal),
    mend: away(({ databases }) => databases.server().startAgain()),
  }));

const readOnly = (steps: readonly Step[]): Fault[] =>
  steps.map((step) => ({
    what: 'the server is read-only for a while',
    step,
    outcomes: /^succeeded$/,
    books: ['mariadb'],
    strike: async ({ databases }) => void (await databases.server().asRoot('SET GLOBAL read_only = 1')),
    mend: away(async ({ databases }) => void (await databases.server().asRoot('SET GLOBAL read_only = 0'))),
  }));

/** Holds the lock of one fault; faults strike one after another. */
let other: NodeScript;
const locked = (what: string, steps: readonly Step[], begun: 'waiting' | 'locked'): Fault[] =>
  steps.map((step) => ({
    what,
    step,
    outcomes: /^succeeded$/,
    books: ['sqlite'],
    strike: async (host) => {
      other = startScript('test/faults/child/hold-lock.ts', { path: file(host) });
      await other.line(begun);
    },
    mend: async (host, job) => {
      await other.line('locked');
      await away(() => other.kill(), LOCKED_MS)(host, job);
    },
  }));

const full: Fault[] = (['copying', 'exit code unread', 'recording'] as const).map((step) => ({
  what: 'the disk under the file is full for a while',
  step,
  outcomes: /^succeeded$/,
  books: ['sqlite'],
  // SQLite writes over what its log has taken already: a disk can be full for long before it notices.
  before: (host) => {
    const books = new SqliteFile(file(host));
    books.pragma('wal_checkpoint(TRUNCATE)');
    books.close();
    return Promise.resolve();
  },
  strike: async (host) => {
    await run('/bin/sh', ['-c', '! dd if=/dev/zero of="$0" bs=4k status=none', filler(host)]);
  },
  mend: away((host) => {
    rmSync(filler(host));
    return Promise.resolve();
  }),
}));

const file = ({ books }: Stricken): string => {
  if (books.kind !== 'sqlite') throw new Error('the books are no file');
  return books.path;
};
const filler = (host: Stricken): string => join(dirname(file(host)), 'filler');

/** What becomes of the database: a run lives on its host, and the books are made good when they are there again. */
export const DATABASE_FAULTS: readonly Fault[] = [
  ...server(
    'the server is killed (-9) and started again',
    'SIGKILL',
    ['before inspect', 'data complete', 'exit code unread', 'recording'],
    'recording',
  ),
  ...server('the server is stopped and started again', 'SIGTERM', ['copying', 'before retire']),
  ...readOnly(['before inspect', 'copying', 'exit code unread', 'before retire']),
  ...locked('another program has locked the file', ['before inspect', 'copying', 'exit code unread'], 'locked'),
  // Within our transaction nobody else has the lock: it gets it when that one ends.
  ...locked('another program waits for the file, and locks it', ['recording'], 'waiting'),
  ...full,
];
