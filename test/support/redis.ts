import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis as Client } from 'ioredis';
import { freePort } from './free-port';

const INSTALL = 'apt-get update && apt-get install -y --no-install-recommends redis-server';
const START_MS = 20_000;

/** A private Redis: its own folder and port, gone after `stop`. Nothing of it outlives its process. */
export interface Redis {
  /** As CHAINKEEPER_REDIS_URL has it. */
  readonly url: string;
  flush(): Promise<void>;
  /** Kills it, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again, empty, on the same port. */
  startAgain(): Promise<void>;
  /** It answers nobody from now on, and connections stay open. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

/** Starts one; throws with the command that brings it when there is none. */
export async function startRedis(password?: string): Promise<Redis> {
  const home = mkdtempSync(join(tmpdir(), 'ck-redis-'));
  const port = await freePort();
  const url = `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`;
  const secret = password === undefined ? [] : ['--requirepass', password];
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  const startAgain = async (): Promise<void> => {
    // setpriv: it dies with the test process, even when that one is killed.
    const words = ['--pdeathsig', 'KILL', '--', 'redis-server', '--port', `${port}`, '--bind', '127.0.0.1', '--dir', home];
    child = spawn('setpriv', [...words, '--save', '', '--maxmemory-policy', 'noeviction', ...secret], { stdio: 'ignore' });
    for (const deadline = Date.now() + START_MS; !(await answers(url)); await sleep(30))
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`redis-server does not answer; these tests need a real one: ${INSTALL}`);
  };
  const stop = async (): Promise<void> => {
    await kill();
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await startAgain();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    flush: () => ask(url, (client) => client.flushall()).then(() => undefined),
    kill,
    startAgain,
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    stop,
  };
}

const answers = (url: string): Promise<boolean> =>
  ask(url, (client) => client.ping()).then(
    () => true,
    () => false,
  );

async function ask<T>(url: string, question: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(url, { retryStrategy: null, maxRetriesPerRequest: 0 });
  // Whoever asks hears of it.
  client.on('error', () => undefined);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}
