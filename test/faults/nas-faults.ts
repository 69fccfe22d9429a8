import { execFile } from 'node:child_process';
import { renameSync, rmSync, statfsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { waitForRun } from '../story/story';
import type { Fault } from './fault';
import type { Stricken } from './stricken';

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
  {
    what: 'hangs for five seconds and answers again',
    step: 'copying',
    outcomes: /^succeeded$/,
    quick: true,
    strike: async (stricken) => {
      await stricken.line('0');
    },
    mend: async (stricken) => {
      await sleep(5000);
      await stricken.line('unlimited');
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
];

const filler = ({ lab }: Stricken): string => lab.nasFile('small', 'filler');

/** Fills the NAS but for less than the reserve. */
async function fill(stricken: Stricken): Promise<void> {
  const { bavail, bsize } = statfsSync(stricken.lab.nasFile('small', ''));
  await run('fallocate', ['-l', `${bavail * bsize - 512 * 1024}`, filler(stricken)]);
}

async function makeRoom(stricken: Stricken, job: string): Promise<void> {
  await waitForRun(stricken.client, job);
  rmSync(filler(stricken));
}

const away = ({ nas }: Stricken): string => `${nas.replace(/\/$/, '')}.away`;
