import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { waitForRun } from '../story/story';
import type { Fault } from './fault';
import { mountsOf, SLOW, type Stricken } from './stricken';

const run = promisify(execFile);

/** What becomes of the NAS. */
export const NAS_FAULTS: readonly Fault[] = [
  {
    what: 'fills up',
    step: 'copying',
    outcomes: /^failed target-full$/,
    quick: true,
    strike: fill,
    mend: makeRoom,
  },
  {
    what: 'is full before the script starts',
    step: 'decided',
    outcomes: /^failed target-full$/,
    strike: fill,
    mend: makeRoom,
  },
  ...(['copying', 'data complete'] as const).map((step): Fault => ({
    what: 'hangs for five seconds and answers again',
    step,
    outcomes: /^succeeded$/,
    strike: async (stricken) => {
      await stricken.line('0');
    },
    mend: async (stricken) => {
      await sleep(5000);
      await stricken.line('unlimited');
    },
  })),
  {
    what: 'is not unmounted within any time that is given to it; asked again it is',
    step: 'in cleanup',
    outcomes: /^succeeded$/,
    strike: () => sleep(12_000),
    mend: async (stricken, job) => {
      const { warnings } = await waitForRun(stricken.client, job);
      if (!warnings.some((text) => text.startsWith('left behind on the host: mount ')))
        throw new Error(`nobody tells of the mount that hung: ${warnings.join('; ')}`);
    },
  },
  {
    what: 'is read-only',
    step: 'decided',
    outcomes: /^failed (nas-not-writable|mount-failed)$/,
    strike: async ({ lab }) => {
      await run('mount', ['-o', 'remount,ro', lab.nasFile('small', '')]);
    },
    mend: async (stricken, job) => {
      await waitForRun(stricken.client, job);
      await run('mount', ['-o', 'remount,rw', stricken.lab.nasFile('small', '')]);
    },
  },
  {
    what: 'is gone',
    step: 'decided',
    outcomes: /^failed mount-failed$/,
    strike: (stricken) => {
      renameSync(stricken.nas, away(stricken));
      return Promise.resolve();
    },
    mend: async (stricken, job) => {
      await waitForRun(stricken.client, job);
      renameSync(away(stricken), stricken.nas);
    },
  },
  {
    what: 'is slow from the first to the last byte',
    step: 'decided',
    outcomes: /^succeeded$/,
    strike: async (stricken) => {
      await stricken.line(SLOW);
    },
    mend: async (stricken, job) => {
      await waitForRun(stricken.client, job);
    },
  },
  {
    what: 'is slow, and the guest writes where it is being copied',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: async ({ lab, vm }) => {
      await lab.write(vm, 'vda', 0xee, 0, 12 * 1024 * 1024);
    },
    mend: async (stricken, job) => {
      await waitForRun(stricken.client, job);
    },
  },
  {
    what: 'cannot be unmounted at the end: a process stands in it',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: (stricken, job) => {
      const [mount] = mountsOf(stricken, job);
      stander = spawn('sleep', ['600'], { cwd: mount, stdio: 'ignore' });
      return Promise.resolve();
    },
    mend: async (stricken, job) => {
      await stricken.line('unlimited');
      const { warnings } = await waitForRun(stricken.client, job);
      stander?.kill();
      if (!warnings.some((text) => text.startsWith('left behind on the host: mount ')))
        throw new Error(`nobody tells of the mount that stays: ${warnings.join('; ')}`);
    },
  },
  {
    what: 'has the directory of the backup already: somebody makes it between the decision and the script',
    step: 'decided',
    outcomes: /^failed target-exists$/,
    strike: (stricken) => {
      for (const directory of theirs(stricken)) {
        mkdirSync(directory);
        writeFileSync(join(directory, 'theirs'), directory);
      }
      return Promise.resolve();
    },
    mend: async (stricken, job) => {
      await waitForRun(stricken.client, job);
      for (const directory of their) {
        const same = readdirSync(directory).join() === 'theirs' && readFileSync(join(directory, 'theirs'), 'utf8') === directory;
        if (!same) throw new Error(`${directory} was changed`);
        rmSync(directory, { recursive: true });
      }
    },
  },
];

const filler = ({ lab }: Stricken): string => lab.nasFile('small', 'filler');

/** Fills the NAS but for less than the reserve. */
export async function fill(stricken: Stricken): Promise<void> {
  const { bavail, bsize } = statfsSync(stricken.lab.nasFile('small', ''));
  await run('fallocate', ['-l', `${bavail * bsize - 512 * 1024}`, filler(stricken)]);
}

export async function makeRoom(stricken: Stricken, job: string): Promise<void> {
  await waitForRun(stricken.client, job);
  rmSync(filler(stricken));
}

const away = ({ nas }: Stricken): string => `${nas.replace(/\/$/, '')}.away`;

let stander: ChildProcess | undefined;
let their: string[] = [];

/** Every directory that a run could have chosen which was decided within the last minute. */
function theirs({ nas, vm }: Stricken): string[] {
  const now = Date.now();
  const names = Array.from({ length: 60 }, (_, seconds) =>
    new Date(now - seconds * 1000).toISOString().slice(0, 19).replace(/[-T:]/g, '.'),
  );
  their = names.map((name) => join(nas, vm, name)).filter((directory) => !existsSync(directory));
  return their;
}
