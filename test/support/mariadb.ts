import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection } from 'mysql2/promise';
import type { ServerConfig } from '../../src/database/data-source';

const INSTALL = 'apt-get update && apt-get install -y --no-install-recommends mariadb-server';
const START_MS = 20_000;

/** A private MariaDB server: its own data directory, socket and port, gone after `stop`. */
export interface Mariadb {
  readonly pid: number;
  /** Makes an empty database and says how to get in, over TCP and with a password, as in the field. */
  newDatabase(): Promise<ServerConfig>;
  /** Runs SQL as the server's root. */
  asRoot(sql: string): Promise<unknown>;
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
  // setpriv: the server dies with the test process, even when that one is killed.
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'TERM', '--', server, '--no-defaults', `--user=${userInfo().username}`, `--datadir=${data}`,
      `--socket=${socketPath}`, `--port=${port}`, '--bind-address=127.0.0.1', `--pid-file=${join(home, 'pid')}`,
      `--log-error=${join(home, 'log')}`, '--innodb-buffer-pool-size=32M', '--innodb-flush-log-at-trx-commit=0',
      '--innodb-doublewrite=0', '--performance-schema=0', '--skip-name-resolve', '--default-time-zone=+05:30'],
    { stdio: 'ignore' },
  ); // prettier-ignore
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }
    rmSync(home, { recursive: true, force: true });
  };
  try {
    const root = await firstAnswer(child, socketPath, join(home, 'log'));
    return { pid: child.pid ?? 0, stop: async () => (await root.end(), stop()), ...access(root, port) };
  } catch (error) {
    await stop();
    throw error;
  }
}

function access(root: Connection, port: number): Pick<Mariadb, 'newDatabase' | 'asRoot'> {
  let count = 0;
  return {
    asRoot: async (sql) => (await root.query(sql))[0],
    newDatabase: async () => {
      count += 1;
      const config = { host: '127.0.0.1', port, user: `ck${count}`, password: `pa'ss "${count}`, database: `ck_books_${count}` };
      // latin1, as servers in the field may have it: tables must not inherit it.
      await root.query(`CREATE DATABASE ${config.database} CHARACTER SET latin1`);
      await root.query(`CREATE USER ${config.user}@'127.0.0.1' IDENTIFIED BY ?`, [config.password]);
      await root.query(`GRANT ALL ON ${config.database}.* TO ${config.user}@'127.0.0.1'`);
      return { kind: 'mariadb', ...config };
    },
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

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
