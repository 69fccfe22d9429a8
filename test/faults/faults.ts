import { execFile } from 'node:child_process';
import { readFileSync, renameSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';

import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { pastLease, type Step, type Stricken } from './stricken';

const run = promisify(execFile);

/** Something that goes wrong at a step of a run. */
export interface Fault {
  readonly family: 'orchestrator' | 'connection' | 'host' | 'guest' | 'NAS' | 'script';
  readonly what: string;
  readonly step: Step;
  /** What the struck run may come to, as `succeeded` or `failed CODE`. */
  readonly outcomes: RegExp;
  /** What the backup after it may be. */
  readonly next?: RegExp;
  /** One of those that are tried in every run of the tests: the worst step of its kind. */
  readonly quick?: boolean;
  strike(host: Stricken, job: string, moment: string): Promise<void>;
  /** Once the service goes on: what somebody does about it. */
  mend?(host: Stricken, job: string): Promise<void>;
}

const STEPS: readonly Step[] = [
  'before inspect',
  'decided',
  'script started',
  'copying',
  'exit code unread',
  'recording',
  'before retire',
  'retired',
];

const kill = (pid: number, signal: NodeJS.Signals): void => {
  process.kill(pid, signal);
};

const restart = async (host: Stricken): Promise<void> => {
  await host.lab.vmStart(host.vm);
};

/** Kill -9 of the service: whoever comes next adopts the run. */
const orchestratorKilled: Fault[] = STEPS.map((step) => ({
  family: 'orchestrator',
  what: 'killed (-9), another one comes',
  step,
  outcomes: /^succeeded$/,
  next: /^INCREMENTAL (regular)$/,
  quick: step === 'recording',
  strike: async (host) => {
    await host.service.kill();
    await host.serve();
  },
}));

/** SIGSTOP past its lease; another adopts the run; the first one wakes up and must change nothing. */
const orchestratorAsleep: Fault[] = (['decided', 'exit code unread', 'recording'] as const).map((step) => ({
  family: 'orchestrator',
  what: 'stands still past its lease, another one takes over, it goes on',
  step,
  outcomes: /^succeeded$/,
  next: /^INCREMENTAL regular$/,
  quick: step === 'exit code unread',
  strike: async (host) => {
    const sleeper = host.service;
    kill(sleeper.pid, 'SIGSTOP');
    await pastLease();
    await host.serve();
    await sleep(3000);
    kill(sleeper.pid, 'SIGCONT');
    host.go(sleeper);
    await sleep(1000);
    await sleeper.kill();
  },
}));

const connection: Fault[] = [
  {
    family: 'connection',
    what: 'sshd and its connections killed (-9), started again after a while',
    step: 'copying',
    outcomes: /^succeeded$/,
    next: /^INCREMENTAL regular$/,
    quick: true,
    strike: async ({ lab }) => {
      await lab.verb('sshd-kill');
    },
    mend: async ({ lab }) => {
      await sleep(2000);
      await lab.access();
    },
  },
  {
    family: 'connection',
    what: 'sshd is not there',
    step: 'decided',
    outcomes: /^failed host\.unreachable$/,
    next: /^INCREMENTAL regular$/,
    strike: async ({ lab }) => {
      await lab.verb('sshd-kill');
    },
    mend: async (host) => {
      await sleep(4000);
      await host.lab.access();
    },
  },
];

const host: Fault[] = [
  ...(['survives', 'is lost'] as const).map((fate): Fault => ({
    family: 'host',
    what: `goes down in the middle of a run and comes back; its job directory ${fate}`,
    step: 'copying',
    outcomes: /^failed outcome-lost$/,
    // Who loses power loses what QEMU had not saved: the bitmaps since its start are good for nothing.
    next: /^FULL (bitmap-inconsistent|bitmap-missing)$/,
    quick: fate === 'survives',
    strike: async (stricken, job) => {
      // What the host runs ends at once, as with its power.
      kill(-stricken.runnerOf(job), 'SIGKILL');
      await stricken.lab.vmCrash(stricken.vm);
      await unmountJob(stricken, readFileSync(stricken.jobFile(job, 'tmp'), 'utf8').trim());
      if (fate === 'is lost') rmSync(stricken.jobFile(job, ''), { recursive: true });
      else writeFileSync(stricken.jobFile(job, 'boot_id'), 'another-boot\n');
      await restart(stricken);
    },
  })),
];

/** A reboot takes the mounts with it: those of this job, for others work on this machine, too. */
async function unmountJob({ lab }: Stricken, tmp: string): Promise<void> {
  // The line to the NAS is quick again, or its last bytes would hold them.
  await lab.verb('nas-speed', 'faults', 'unlimited');
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((row) => row.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${tmp}/`));
  for (const point of points.reverse()) {
    await run('umount', ['-l', point]);
    rmdirSync(point);
  }
  rmdirSync(tmp);
}

const guest: Fault[] = [
  {
    family: 'guest',
    what: 'QEMU killed (-9), started again',
    step: 'copying',
    // Started again before anybody looked, the machine knows of no job: its result is not known, and that is a failure, too.
    outcomes: /^failed (guest-gone|job-unknown)$/,
    next: /^FULL (bitmap-inconsistent|bitmap-missing)$/,
    quick: true,
    strike: async ({ lab, vm }) => {
      await lab.vmCrash(vm);
    },
    mend: restart,
  },
  {
    family: 'guest',
    what: 'shut down and started between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    next: /^INCREMENTAL regular$/,
    strike: async (stricken) => {
      await stricken.lab.vmStop(stricken.vm);
      await restart(stricken);
    },
  },
  {
    family: 'guest',
    what: 'shut down between the look and the start of the script',
    step: 'decided',
    outcomes: /^(failed (vm-not-found|guest-gone)|succeeded)$/,
    strike: async ({ lab, vm }) => {
      await lab.vmStop(vm);
    },
    mend: async (stricken) => {
      await sleep(4000);
      await restart(stricken);
    },
  },
  {
    family: 'guest',
    what: 'suspended by its user in the middle, and resumed by its user',
    step: 'copying',
    outcomes: /^succeeded$/,
    next: /^INCREMENTAL regular$/,
    strike: async ({ lab, vm }) => {
      await lab.vmPause(vm);
    },
    mend: async (stricken, job) => {
      await stricken.line('unlimited');
      for (
        let left = 200;
        left > 0 && (await stricken.client.get<{ state: string }>(`/runs/${job}`)).state === 'running';
        left -= 1
      )
        await sleep(100);
      // Nobody but its user resumes it.
      const state = (await stricken.virsh('domstate', stricken.vm, '--reason')).trim();
      if (!state.startsWith('paused (user)')) throw new Error(`the suspended guest is ${state}`);
      await stricken.lab.vmResume(stricken.vm);
    },
  },
  {
    family: 'guest',
    what: 'the bitmap is lost on one of two disks between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    next: /^INCREMENTAL regular$/,
    quick: true,
    strike: async (stricken) => {
      const { lab, vm } = stricken;
      const [bitmap = ''] = await lab.bitmaps(vm, 'vdb');
      await lab.vmStop(vm);
      await lab.bitmapRemove(vm, 'vdb', bitmap);
      await restart(stricken);
    },
  },
  {
    family: 'guest',
    what: 'a disk grows between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    next: /^INCREMENTAL regular$/,
    strike: async ({ lab, vm }, _job, moment) => {
      await lab.diskResize(vm, 'vdb', 40 * 1024 * 1024);
      // The run has not begun on the host: what it takes is the disk of now.
      await lab.moment(vm, moment);
    },
  },
];

const nas: Fault[] = [
  {
    family: 'NAS',
    what: 'fills up',
    step: 'copying',
    outcomes: /^failed target-full$/,
    next: /^INCREMENTAL regular$/,
    quick: true,
    strike: async (stricken) => {
      await fill(stricken);
    },
    mend: async (stricken, job) => {
      await ended(stricken, job);
      rmSync(filler(stricken));
    },
  },
  {
    family: 'NAS',
    what: 'is full before the script starts',
    step: 'decided',
    outcomes: /^failed target-full$/,
    next: /^INCREMENTAL regular$/,
    strike: async (stricken) => {
      await fill(stricken);
    },
    mend: async (stricken, job) => {
      await ended(stricken, job);
      rmSync(filler(stricken));
    },
  },
  {
    family: 'NAS',
    what: 'hangs for five seconds and answers again',
    step: 'copying',
    outcomes: /^succeeded$/,
    next: /^INCREMENTAL regular$/,
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
    family: 'NAS',
    what: 'is read-only',
    step: 'decided',
    outcomes: /^failed (nas-not-writable|mount-failed)$/,
    next: /^INCREMENTAL regular$/,
    strike: async ({ lab }) => {
      await run('mount', ['-o', 'remount,ro', lab.nasFile('small', '')]);
    },
    mend: async (stricken, job) => {
      await ended(stricken, job);
      await run('mount', ['-o', 'remount,rw', stricken.lab.nasFile('small', '')]);
    },
  },
  {
    family: 'NAS',
    what: 'is gone',
    step: 'decided',
    outcomes: /^failed mount-failed$/,
    next: /^INCREMENTAL regular$/,
    strike: (stricken) => {
      renameSync(stricken.nas, `${stricken.nas.replace(/\/$/, '')}.away`);
      return Promise.resolve();
    },
    mend: async (stricken, job) => {
      await ended(stricken, job);
      renameSync(`${stricken.nas.replace(/\/$/, '')}.away`, stricken.nas);
    },
  },
];

const filler = ({ lab }: Stricken): string => lab.nasFile('small', 'filler');

/** Fills the NAS but for less than the reserve. */
async function fill(stricken: Stricken): Promise<void> {
  const { bavail, bsize } = statfsSync(stricken.lab.nasFile('small', ''));
  await run('fallocate', ['-l', `${bavail * bsize - 512 * 1024}`, filler(stricken)]);
}

async function ended({ client }: Stricken, job: string): Promise<void> {
  for (let left = 600; left > 0; left -= 1) {
    const { state } = await client.get<{ state: string }>(`/runs/${job}`);
    if (state !== 'running' && state !== 'queued' && state !== 'unknown') return;
    await sleep(100);
  }
}

const script: Fault[] = [
  {
    family: 'script',
    what: 'killed (-9) with all that belongs to it',
    step: 'copying',
    outcomes: /^failed outcome-lost$/,
    next: /^INCREMENTAL regular$/,
    quick: true,
    strike: (stricken, job) => {
      kill(-stricken.runnerOf(job), 'SIGKILL');
      return Promise.resolve();
    },
  },
  {
    family: 'script',
    what: 'killed (-9), its runner lives',
    step: 'copying',
    outcomes: /^failed outcome-lost$/,
    next: /^INCREMENTAL regular$/,
    strike: (stricken, job) => {
      kill(stricken.operationOf(job), 'SIGKILL');
      return Promise.resolve();
    },
  },
  {
    family: 'script',
    what: 'TERM from an operator',
    step: 'copying',
    outcomes: /^cancelled job-cancelled$/,
    next: /^INCREMENTAL regular$/,
    strike: (stricken, job) => {
      kill(stricken.operationOf(job), 'SIGTERM');
      return Promise.resolve();
    },
  },
  {
    family: 'script',
    what: 'an operator ends libvirt’s job by hand',
    step: 'copying',
    outcomes: /^cancelled job-cancelled$/,
    next: /^INCREMENTAL regular$/,
    strike: async ({ virsh, vm }) => {
      await virsh('domjobabort', vm);
    },
  },
];

/** All faults, in the order in which they strike. */
export const FAULTS: readonly Fault[] = [
  ...orchestratorKilled,
  ...orchestratorAsleep,
  ...connection,
  ...host,
  ...guest,
  ...nas,
  ...script,
];
