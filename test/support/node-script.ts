import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const ROOT = join(__dirname, '../..');

/** Teaches a plain node process the TypeScript of this repository, the way jest reads it. */
const BOOT = `
const options = JSON.parse(require('node:fs').readFileSync('.swcrc', 'utf8'));
const { transformFileSync } = require('@swc/core');
require.extensions['.ts'] = (module, filename) =>
  module._compile(transformFileSync(filename, { ...options, swcrc: false }).code, filename);
require('reflect-metadata');
require(process.argv[1]);
`;

const started: ChildProcess[] = [];
// A failed test must not leave its scripts behind: they would keep jest waiting.
afterAll(() => started.forEach((child) => child.kill('SIGKILL')));

/** A script of ours in a process of its own: something that can be killed, or raced against. */
export interface NodeScript {
  readonly pid: number;
  /** Waits for a line of its stdout that begins so, and returns it. Fails when the process ends without one. */
  line(prefix: string): Promise<string>;
  /** Kills it without a chance to clean up. */
  kill(): Promise<void>;
  /** Waits for its end; all it printed, and its exit code (null: killed). */
  end(): Promise<{ code: number | null; out: string; err: string }>;
}

/** Starts `test/.../script.ts` (a path below the repository) with words, or one argument given as JSON, and more in the environment. */
export function startScript(path: string, argument: unknown, env: NodeJS.ProcessEnv = {}): NodeScript {
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(
    process.execPath,
    ['-e', BOOT, join(ROOT, path), ...(Array.isArray(argument) ? (argument as string[]) : [JSON.stringify(argument)])],
    { cwd: ROOT, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  started.push(child);
  const lines: string[] = [];
  let err = '';
  const waiting = new Set<() => void>();
  const wake = (): void => waiting.forEach((check) => check());
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    wake();
  });
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const closed = once(child, 'close').then(wake);

  return {
    pid: child.pid ?? 0,
    line: (prefix) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const line = lines.find((text) => text.startsWith(prefix));
          if (line !== undefined) resolve(line);
          else if (child.exitCode !== null || child.signalCode !== null)
            reject(new Error(`It ended without "${prefix}": ${err}`));
          else return;
          waiting.delete(check);
        };
        waiting.add(check);
        check();
      }),
    kill: async () => {
      child.kill('SIGKILL');
      await closed;
    },
    end: async () => {
      await closed;
      return { code: child.exitCode, out: lines.join('\n'), err };
    },
  };
}
