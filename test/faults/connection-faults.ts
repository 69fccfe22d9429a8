import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RunDto } from '../../src/runs/dto/run.dto';
import { waitForRun } from '../story/story';
import { until } from '../support/brake';
import type { Fault } from './fault';
import type { Stricken } from './stricken';

const run = promisify(execFile);

/** What becomes of the way to the host. */
export const CONNECTION_FAULTS: readonly Fault[] = [
  ...(['copying', 'data complete'] as const).map((step): Fault => ({
    what: 'sshd and its connections killed (-9), started again after a while',
    step,
    outcomes: /^succeeded$/,
    quick: step === 'copying',
    strike: async ({ lab }) => {
      await lab.verb('sshd-kill');
    },
    mend: async ({ lab }) => {
      await sleep(2000);
      await lab.access();
    },
  })),
  {
    what: 'sshd is not there',
    step: 'decided',
    outcomes: /^failed host\.unreachable$/,
    strike: async ({ lab }) => {
      await lab.verb('sshd-kill');
    },
    mend: async (host) => {
      await sleep(4000);
      await host.lab.access();
    },
  },
  {
    what: 'black-holed: packets are dropped, and nobody is told; after a while new connections pass',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: ({ wire }) => Promise.resolve(wire.swallow()),
    mend: async ({ wire }) => {
      await sleep(8000);
      wire.pass();
    },
  },
  {
    what: 'no answer comes back once the order to start has gone out, nor to any other call for a while',
    step: 'decided',
    // The job runs, so nobody may say that it certainly does not.
    outcomes: /^succeeded$/,
    strike: ({ wire }) => Promise.resolve(wire.swallowAnswersAtCommand()),
    mend: async (host, job) => {
      await until(async () => (await seen(host, job)).state !== 'running', 'the run is known to be unknown');
      await until(() => existsSync(host.jobFile(job, 'started')), 'the order has reached the host');
      host.wire.pass();
    },
  },
  {
    what: 'sshd lets one session through at a time (MaxSessions 1)',
    step: 'decided',
    outcomes: /^succeeded$/,
    strike: (host) => sshdWith(host, 'MaxSessions 1'),
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await sshdWith(host, '');
    },
  },
  {
    what: 'sshd refuses every session (MaxSessions 0)',
    step: 'decided',
    outcomes: /^failed host\.busy$/,
    strike: (host) => sshdWith(host, 'MaxSessions 0'),
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await reload(host, '');
    },
  },
  {
    what: 'sshd refuses every session (MaxSessions 0), until somebody mends its configuration and reloads it',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: (host) => sshdWith(host, 'MaxSessions 0'),
    mend: async (host, job) => {
      await until(async () => (await seen(host, job)).errorCode === 'host.busy', 'the service is refused');
      await reload(host, '');
    },
  },
  {
    what: 'the host shows another key',
    step: 'decided',
    outcomes: /^failed host\.key-changed$/,
    strike: otherKey,
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await explained(host, job);
      await oldKey(host);
    },
  },
  {
    what: 'the host shows another key, later its own again',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: otherKey,
    mend: async (host, job) => {
      await until(async () => (await seen(host, job)).errorCode === 'host.key-changed', 'the key is refused');
      await explained(host, job);
      await sleep(8000);
      if ((await seen(host, job)).state !== 'unknown') throw new Error('a run that goes on is called something else');
      await oldKey(host);
    },
  },
];

const seen = ({ client }: Stricken, job: string): Promise<RunDto> => client.get<RunDto>(`/runs/${job}`);

const sshdFile = ({ lab }: Stricken, name: string): string => join(lab.folder, 'ssh', lab.user, name);

/** Another sshd in its place, with a line more in its configuration; its connections are gone. */
async function sshdWith(host: Stricken, line: string): Promise<void> {
  await host.lab.verb('sshd-kill');
  writeFileSync(sshdFile(host, 'more'), `${line}\n`);
  await host.lab.access();
}

/** As an administrator does: connections stay, and keep what was configured when they were made. */
async function reload(host: Stricken, line: string): Promise<void> {
  writeFileSync(sshdFile(host, 'more'), `${line}\n`);
  const config = sshdFile(host, 'sshd_config');
  writeFileSync(config, readFileSync(config, 'utf8').replace(/^MaxSessions .*\n/m, ''));
  process.kill(Number(readFileSync(sshdFile(host, 'sshd.pid'), 'utf8')), 'SIGHUP');
}

async function otherKey(host: Stricken): Promise<void> {
  await host.lab.verb('sshd-kill');
  for (const file of KEY) renameSync(sshdFile(host, file), sshdFile(host, `own_${file}`));
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', sshdFile(host, 'host_key')]);
  await host.lab.access();
}

async function oldKey(host: Stricken): Promise<void> {
  await host.lab.verb('sshd-kill');
  for (const file of KEY) {
    rmSync(sshdFile(host, file));
    renameSync(sshdFile(host, `own_${file}`), sshdFile(host, file));
  }
  await host.lab.access();
}
const KEY = ['host_key', 'host_key.pub'];

/** Whoever reads the run learns how the new key is accepted. */
async function explained(host: Stricken, job: string): Promise<void> {
  const { errorMessage } = await seen(host, job);
  if (!errorMessage?.includes(`chainkeeper host change ${host.lab.user} --fingerprint SHA256:`))
    throw new Error(`nobody is told how to accept the key: ${errorMessage}`);
}
