import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection } from 'mysql2/promise';
import type { ServerConfig } from '../../src/database/data-source';
import { freePort } from './free-port';

const INSTALL = 'apt-get update && apt-get install -y --no-install-recommends mariadb-server';
const START_MS = 20_000;

/** A private MariaDB server: its own data directory, socket and port, gone after `stop`. */
export interface Mariadb {
  /** Makes an empty database and says how to get in, over TCP and with a password, as in the field. */
  newDatabase(): Promise<ServerConfig>;
  /** Runs SQL as the server's root. */
  asRoot(sql: string): Promise<unknown>;
  /** Ends it: `SIGKILL` as a crash does, `SIGTERM` as an operator. Its data stays. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Starts it again on the same data and port. */
  startAgain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts one, in about a second: the data directory is copied from a template that is made once per machine and version.
 * Throws with the command that brings MariaDB when there is none: a suite that cannot run has failed.
 */
export async function startMariadb(): Promise<Mariadb> {
  const server = which('mariadbd');
  which('mariadb-install-db');
  const home = mkdtempSync(join(tmpdir(), 'ck-mariadb-'));
  const data = join(home, 'data');
  cpSync(template(server), data, { recursive: true });
  const port = await freePort();
  const socketPath = join(home, 's');
  // Without an ending the server adds one of its own.
  const log = join(home, 'log.err');
  // setpriv: the server dies with the test process, even when that one is killed.
  const spawnServer = (): ChildProcess => spawn(
    'setpriv',
    ['--pdeathsig', 'TERM', '--', server, '--no-defaults', `--user=${userInfo().username}`, `--datadir=${data}`,
      `--socket=${socketPath}`, `--port=${port}`, '--bind-address=127.0.0.1', `--pid-file=${join(home, 'pid')}`,
      // A server that starts takes away every temporary table that lies there, those of others too, and the others crash.
      `--tmpdir=${home}`,
      // What is committed outlives the process, as in the field; it need not outlive the machine.
      `--log-error=${log}`, '--innodb-buffer-pool-size=32M', '--innodb-flush-log-at-trx-commit=2',
      '--innodb-doublewrite=0', '--performance-schema=0', '--skip-name-resolve', '--default-time-zone=+05:30'],
    { stdio: 'ignore' },
  ); // prettier-ignore
  const meant = new WeakSet<ChildProcess>();
  let child: ChildProcess | undefined;
  let root: Connection | undefined;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    root?.destroy();
    root = undefined;
    if (child && child.exitCode === null && child.signalCode === null) {
      meant.add(child);
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    }
  };
  const startAgain = async (): Promise<void> => {
    const spawned = spawnServer();
    child = spawned;
    // Nobody asked it to: whatever fails from here on, this is why.
    spawned.once('exit', (code, signal) => {
      if (!meant.has(spawned))
        process.stderr.write(`mariadbd has ended by itself (${signal ?? code}). Its log:\n${readFileSync(log, 'utf8')}\n`);
    });
    root = await firstAnswer(child, socketPath, log);
    // Whoever asks next hears of it; unheard, it would end the tests.
    root.on('error', () => undefined);
  };
  const stop = async (): Promise<void> => {
    await end('SIGTERM');
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await startAgain();
    const asRoot = async (sql: string, values: unknown[] = []): Promise<unknown> => (await root?.query(sql, values))?.[0];
    return { end, startAgain, stop, asRoot, newDatabase: databaseMaker(asRoot, port) };
  } catch (error) {
    await stop();
    throw error;
  }
}

function databaseMaker(asRoot: (sql: string, values?: unknown[]) => Promise<unknown>, port: number): Mariadb['newDatabase'] {
  let count = 0;
  return async () => {
    count += 1;
    const config = { host: '127.0.0.1', port, user: `ck${count}`, password: `pa'ss "${count}`, database: `ck_books_${count}` };
    // latin1, as servers in the field may have it: tables must not inherit it.
    await asRoot(`CREATE DATABASE ${config.database} CHARACTER SET latin1`);
    await asRoot(`CREATE USER ${config.user}@'127.0.0.1' IDENTIFIED BY ?`, [config.password]);
    await asRoot(`GRANT ALL ON ${config.database}.* TO ${config.user}@'127.0.0.1'`);
    return { kind: 'mariadb', ...config };
  };
}

/** The data directory that all others are copied from. Made aside and renamed, so that two makers do not meet half way. */
function template(server: string): string {
  const version = /Ver (\S+)/.exec(execFileSync(server, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown';
  const place = join(tmpdir(), `ck-mariadb-template-${version}-${userInfo().uid}`);
  if (existsSync(place)) return place;
  const draft = mkdtempSync(`${place}-`);
  execFileSync('mariadb-install-db', ['--no-defaults', `--datadir=${draft}`, `--user=${userInfo().username}`,
    '--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=8M', '--innodb-data-file-path=ibdata1:8M:autoextend'],
  { stdio: ['ignore', 'ignore', 'inherit'] }); // prettier-ignore
  try {
    renameSync(draft, place);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(place)) throw error;
  }
  return place;
}

async function firstAnswer(child: ChildProcess, socketPath: string, log: string): Promise<Connection> {
  const deadline = Date.now() + START_MS;
  while (child.exitCode === null && Date.now() < deadline) {
    try {
      return await createConnection({ socketPath, user: 'root', multipleStatements: true });
    } catch {
      await sleep(30);
    }
  }
  throw new Error(`mariadbd does not answer. Its log:\n${existsSync(log) ? readFileSync(log, 'utf8') : '(none)'}`);
}

function which(program: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/bin'];
  const found = folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${program} is missing; these tests need a real MariaDB: ${INSTALL}`);
  return found;
}
