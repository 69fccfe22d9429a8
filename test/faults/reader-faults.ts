import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, rmdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { waitForRun } from '../story/story';
import { until } from '../support/brake';
import { type Fault, restart } from './fault';
import { goDown } from './host-faults';
import { fill, makeRoom } from './nas-faults';
import { all, operation, signal } from './script-faults';
import type { Asks, Step, Stricken } from './stricken';

const run = promisify(execFile);

/** A way to take a backup in which readers of the host copy from an export. */
export interface ByReaders {
  readonly asks: Asks;
  readonly before?: Fault['before'];
  /** What a run makes that went well in spite of its fault. */
  readonly made: RegExp;
  /** What the backup after one is that made nothing. */
  readonly again: RegExp;
  readonly afterCrash: RegExp;
  /** What a run comes to that finds no room for its scratch files. */
  readonly withoutScratch: Pick<Fault, 'outcomes' | 'made' | 'next'>;
}

/** What becomes of a run whose data readers copy, at the steps where that makes a difference. */
export function readerFaults(way: ByReaders): Fault[] {
  const of = (step: Step, what: string, more: Omit<Fault, 'step' | 'what' | 'asks'>): Fault => ({
    ...{ step, what, asks: way.asks },
    ...(way.before ? { before: way.before } : {}),
    ...more,
  });
  const made = (strike: Fault['strike'], mend?: Fault['mend']): Omit<Fault, 'step' | 'what'> => ({
    ...{ outcomes: /^succeeded$/, made: way.made, strike },
    ...(mend ? { mend } : {}),
  });
  const fails = (outcomes: RegExp, strike: Fault['strike'], mend?: Fault['mend']): Omit<Fault, 'step' | 'what'> => ({
    ...{ outcomes, next: way.again, strike },
    ...(mend ? { mend } : {}),
  });

  return [
    ...(['copying', 'data complete', 'in cleanup'] as const).map((step) =>
      of(step, 'the service is killed (-9), another one comes', made(serviceKilled)),
    ),
    ...(['copying', 'data complete', 'in cleanup'] as const).map((step) =>
      of(step, 'the script is killed (-9) with all that belongs to it', fails(/^failed outcome-lost$/, signal('SIGKILL', all))),
    ),
    of('copying', 'the script is killed (-9), its runner and its readers live', {
      ...fails(/^failed outcome-lost$/, signal('SIGKILL', operation)),
      quick: true,
    }),
    of('copying', 'a reader is killed (-9)', fails(/^failed copy-failed$/, signal('SIGKILL', readerOf))),
    ...(['copying', 'data complete'] as const).map((step) =>
      of(step, 'TERM from an operator', fails(/^cancelled job-cancelled$/, signal('SIGTERM', operation))),
    ),
    of('in cleanup', 'TERM from an operator', made(signal('SIGTERM', operation))),
    of('copying', 'somebody cancels it', fails(/^cancelled job-cancelled$/, cancel)),
    of('copying', 'somebody ends libvirt’s job by hand', {
      ...fails(/^(cancelled job-cancelled|failed copy-failed)$/, async (host) => {
        await host.virsh('domjobabort', host.vm);
      }),
    }),
    of('copying', 'QEMU killed (-9), started again', {
      // Started again before anybody looked, the machine knows of no job.
      ...fails(
        /^failed (guest-gone|copy-failed|job-unknown)$|^cancelled job-cancelled$/,
        ({ lab, vm }) => lab.vmCrash(vm),
        restart,
      ),
      next: way.afterCrash,
    }),
    of('copying', 'the host goes down and comes back; its job directory survives', {
      ...fails(/^failed outcome-lost$/, (host, job) => goDown(host, job, 'survives')),
      next: way.afterCrash,
    }),
    of('copying', 'the NAS fills up', fails(/^failed target-full$/, fill, makeRoom)),
    ...(['copying', 'data complete'] as const).map((step) =>
      of(
        step,
        'the NAS hangs for five seconds and answers again',
        made(
          (host) => host.line('0'),
          async (host) => {
            await sleep(5000);
            await host.line('unlimited');
          },
        ),
      ),
    ),
    of(
      'copying',
      'the NAS hangs, and somebody cancels it; the NAS answers again, and the host is swept',
      fails(
        // Who does not get away from the NAS within the ten seconds of an abort is killed by it.
        /^(cancelled job-cancelled|failed script-killed)$/,
        async (host, job) => {
          await host.line('0');
          await cancel(host, job, '');
        },
        async (host, job) => {
          await waitForRun(host.client, job);
          await host.line('unlimited');
          await sweep(host);
        },
      ),
    ),
    of(
      'copying',
      'the NAS is gone: all that touches it fails; it is mounted again, and the host is swept',
      fails(/^failed copy-failed$/, nasDies, async (host, job) => {
        await waitForRun(host.client, job);
        await nasAgain(host);
        await sweep(host);
      }),
    ),
    of('copying', 'the scratch disk fills up', {
      ...fails(/^failed scratch-full$/, fillScratch, ownScratch),
      before: async (host) => {
        await way.before?.(host);
        await smallScratch(host);
      },
    }),
    of('decided', 'the scratch disk is full before the script starts', {
      ...way.withoutScratch,
      strike: async (host) => {
        await smallScratch(host);
        await fillScratch(host);
      },
      mend: ownScratch,
    }),
  ];
}

const serviceKilled: Fault['strike'] = async (host) => {
  await host.service.kill();
  await host.serve();
};

const cancel: Fault['strike'] = async (host, job) => {
  await host.client.send('POST', `/runs/${job}/abort`);
};

/** What the host itself cannot put right while its NAS is away is put right by the next sweep. */
export async function sweep(host: Stricken): Promise<void> {
  await host.client.send('POST', `/hosts/${host.host}/sweep`);
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

/** A qemu-img or qemu-io that copies for a job. */
function readerOf(host: Stricken, job: string): number {
  const below = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(below)];
  const reader = below(host.operationOf(job)).find((pid) =>
    /^qemu-(img\0(convert|rebase)\0-p|io\0-C)/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')),
  );
  if (reader === undefined) throw new Error(`job ${job} has no reader`);
  return reader;
}

/** The server at the other end of the line dies: whoever touches its mount is told so at once. */
async function nasDies({ lab }: Stricken): Promise<void> {
  const speed = join(lab.folder, 'run/faults.speed');
  const server = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .find((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return words[0]?.endsWith('sshfs') && words.some((word) => word.includes(speed));
      } catch {
        return false; // it has ended meanwhile
      }
    });
  process.kill(Number(server), 'SIGKILL');
  await until(
    () =>
      run('stat', [lab.nasFile('faults', '')]).then(
        () => false,
        () => true,
      ),
    'nobody reaches the NAS',
  );
}

async function nasAgain({ lab }: Stricken): Promise<void> {
  const mount = lab.nasFile('faults', '').replace(/\/$/, '');
  await run('umount', ['-l', mount]);
  rmdirSync(mount);
  await lab.verb('nas-slow', 'faults', lab.nasFile('small', '').replace(/\/$/, ''));
}

const scratch = ({ lab }: Stricken): string => join(lab.folder, 'host/scratch');
const filler = (host: Stricken): string => join(scratch(host), 'filler');

/** The scratch files come to lie on a small disk; it suffices for what the disks of the VM hold. */
async function smallScratch(host: Stricken): Promise<void> {
  await run('mount', ['-t', 'tmpfs', '-o', 'size=128m,mode=0711', 'tmpfs', scratch(host)]);
}

/** But for less than the reserve. */
async function fillScratch(host: Stricken): Promise<void> {
  const { bavail, bsize } = statfsSync(scratch(host));
  await run('fallocate', ['-l', `${bavail * bsize - 512 * 1024}`, filler(host)]);
}

async function ownScratch(host: Stricken, job: string): Promise<void> {
  await waitForRun(host.client, job);
  rmSync(filler(host));
  const left = readdirSync(scratch(host));
  await until(
    () =>
      run('umount', [scratch(host)]).then(
        () => true,
        () => false,
      ),
    'nobody uses the small disk',
  );
  if (left.length > 0) throw new Error(`left among the scratch files: ${left.join(' ')}`);
}
