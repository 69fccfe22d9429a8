// Child processes for the set-up scripts. Nothing here may need an installed package.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { delimiter, dirname, join, resolve } from 'node:path';
import { accessSync, constants } from 'node:fs';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

export const say = (text) => process.stdout.write(`${text}\n`);

/** Ends the script with a message that says what to do; never with a stack trace. */
export function giveUp(text) {
  process.stderr.write(`\n${text}\n`);
  process.exit(1);
}

// System programs of Debian (sshd, mariadbd, visudo) live where an ordinary PATH does not look.
const path = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
export const env = { ...process.env, PATH: [...new Set(path)].join(delimiter) };

/** Where a program is, or undefined. */
export function which(program) {
  for (const folder of path) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

/** Runs a program in the project's folder, its output passed through, or to `hear`; answers its exit code. */
export function run(program, args, { hear, ...options } = {}) {
  const stdio = hear ? ['ignore', 'pipe', 'pipe'] : 'inherit';
  const child = spawn(program, args, { cwd: root, stdio, env, ...options });
  for (const stream of hear ? [child.stdout, child.stderr] : []) stream.on('data', hear);
  // However often it comes: whoever is told to stop may need a while to clean up, and is waited for.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const forward = (signal) => child.kill(signal);
  for (const signal of signals) process.on(signal, forward);
  return new Promise((done) => {
    const end = (code) => {
      for (const signal of signals) process.off(signal, forward);
      done(code);
    };
    child.on('error', (error) => {
      process.stderr.write(`${program}: ${error.message}\n`);
      end(127);
    });
    child.on('close', (code, signal) => end(code ?? (signal ? 130 : 1)));
  });
}

/** Runs a program and keeps its output; answers `{ code, out, err }`. */
export function capture(program, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    env,
    ...options,
  });
  return { code: error ? 127 : (status ?? 1), out: stdout ?? '', err: stderr ?? '' };
}
