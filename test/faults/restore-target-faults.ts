import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RestoreDto } from '../../src/restores/dto/restore.dto';
import { waitForRun } from '../story/story';
import { until } from '../support/brake';
import { refused } from './errands';
import { expectRefusal } from './expect-refusal';
import type { Fault } from './fault';
import type { HostStep } from './host-steps';
import { at, byteFlipped, fileUnder, killOperation, readUnder, serviceKilled, trimmed, volumesHeld } from './restore-faults';
import type { Stricken } from './stricken';

const run = promisify(execFile);

/** Steps of a swap up to the one from which on all disks are the new ones. */
const BEFORE: readonly HostStep[] = ['a disk is written', 'a disk is compared', 'before the swap', 'before the second swap'];
const AFTER: readonly HostStep[] = ['all swapped, not noted', 'swapped, old ones there'];

/** `whole`: all disks are the new ones, and stay. */
const killed = (step: HostStep, whole: boolean): Fault[] => [
  at('in-place', step, 'the service is killed (-9), another one comes', /^succeeded$/, { strike: serviceKilled }),
  at('in-place', step, 'the script is killed (-9) with all that belongs to it', /^failed outcome-lost$/, {
    ...(whole ? { next: /^FULL / } : {}),
    strike: killOperation,
    quick: step === 'before the second swap',
  }),
];

/** Where a restore goes to, what it is asked for, and each step of its swap. */
export const RESTORE_TARGET_FAULTS: readonly Fault[] = [
  refused('in-place, new-disks: of a point that nobody knows', 'backup.not-found', async (host) => {
    for (const way of ['in-place', 'new-disks']) {
      const asked = host.client.send('POST', '/restores', {
        backup: randomUUID(),
        way,
        ...(way === 'in-place' ? {} : { to: '/tmp' }),
      });
      if (way === 'new-disks') return asked;
      await asked.then(
        () => Promise.reject(new Error('it was taken')),
        () => undefined,
      );
    }
    return null;
  }),
  refused('in-place: the VM runs', 'restore.vm-running', (host) =>
    host.client.send('POST', '/restores', { backup: last(host), way: 'in-place' }),
  ),
  refused(
    'in-place: over the volume of another VM',
    'restore.contradiction',
    async ({ client, lab, points, vm }) => {
      const theirs = join(lab.folder, 'images/theirs');
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', theirs, '64M']);
      await lab.vmStop(vm);
      try {
        const places = [{ target: 'vda', path: theirs }];
        return await client.send('POST', '/restores', { backup: points.at(-1)?.backup.id, way: 'in-place', places });
      } finally {
        rmSync(theirs);
        await lab.vmStart(vm);
      }
    },
    { next: /^INCREMENTAL redefined$/ },
  ),
  at('in-place', 'decided', 'its owner starts the VM before the script does', /^failed vm-running$/, {
    strike: ({ lab, vm }) => lab.vmStart(vm),
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await host.lab.vmStop(host.vm);
    },
  }),
  at('in-place', 'decided', 'another process has its volume open', /^failed target-in-use$/, {
    strike: async ({ lab, vm }) => {
      const disks = await lab.vmDisks(vm);
      await hold(['-f', 'raw', disks.at(-1)?.path ?? '']);
    },
    mend: letGo,
  }),
  at('new-disks', 'decided', 'somebody puts a file where the second disk goes', /^failed target-exists$/, {
    strike: async (host, job) => writeFileSync(await secondTarget(host, job), THEIRS),
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      untouched(await secondTarget(host, job));
    },
  }),
  at('new-disks', 'names are given', 'somebody puts a file where the second disk goes', /^failed target-exists$/, {
    strike: async (host, job) => writeFileSync(await secondTarget(host, job), THEIRS),
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      untouched(await secondTarget(host, job));
    },
  }),
  at('new-disks', 'decided', 'the device that a disk goes to is smaller than it', /^failed target-too-small$/, {
    wishes: (host) => toDevice(host, 16),
    strike: () => Promise.resolve(),
    mend: noDevice,
  }),
  at('new-disks', 'decided', 'another QEMU has the device open that a disk goes to', /^failed target-in-use$/, {
    wishes: (host) => toDevice(host, 64),
    strike: () => hold(['--image-opts', `driver=host_device,filename=${device}`]),
    mend: async (host, job) => {
      await letGo(host, job);
      await noDevice(host, job);
    },
  }),
  at('new-disks', 'decided', 'the device that a disk goes to is mounted', /^failed target-in-use$/, {
    wishes: (host) => toDevice(host, 64),
    strike: async ({ lab }) => {
      await run('mkfs.ext4', ['-q', device]);
      await run('mount', [device, join(lab.folder, 'scratch-mount')]).catch(async () => {
        await run('mkdir', ['-p', join(lab.folder, 'scratch-mount')]);
        await run('mount', [device, join(lab.folder, 'scratch-mount')]);
      });
    },
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await run('umount', [join(host.lab.folder, 'scratch-mount')]);
      await noDevice(host, job);
    },
  }),
  ...(['new-disks', 'in-place'] as const).map((way) =>
    at(way, 'copying', 'the NAS is gone for good, and every read fails', /^failed (convert-failed|compare-failed)$/, {
      strike: killNas,
      mend: async (host, job) => {
        await waitForRun(host.client, job);
        await bringNasBack(host);
      },
    }),
  ),
  at('new-disks', 'decided', 'a file of its chain is missing', /^failed chain-missing$/, {
    strike: async (host, job) => {
      const file = await fileUnder(host, job);
      renameSync(file, `${file}.away`);
    },
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      const file = await fileUnder(host, job);
      renameSync(`${file}.away`, file);
      await readUnder(host, job, false);
    },
  }),
  at(
    'new-disks',
    'decided',
    'a file of its chain is cut short',
    /^failed (chain-damaged|chain-unsafe|chain-missing|check-failed)$/,
    {
      strike: async (host, job) => {
        const file = await fileUnder(host, job);
        await run('cp', ['--sparse=always', file, `${file}.whole`]);
        truncateSync(file, 4096);
      },
      mend: async (host, job) => {
        await waitForRun(host.client, job);
        const file = await fileUnder(host, job);
        renameSync(`${file}.whole`, file);
        await readUnder(host, job, false);
      },
    },
  ),
  byteFlipped('new-disks'),
  at('new-disks', 'copying', 'two more are asked for in the same moment, and one by hand', /^succeeded$/, {
    strike: async (host) => {
      const wishes = { backup: last(host), way: 'new-disks', to: '/tmp' };
      const answers = await Promise.allSettled([0, 1].map(() => host.client.send('POST', '/restores', wishes)));
      const codes = answers.map((answer) => (answer.status === 'rejected' ? (answer.reason as { code: string }).code : 'taken'));
      if (codes.join() !== 'run.active,run.active') throw new Error(codes.join());
      const byHand = ['-v', host.vm, '-t', 'dir', '-s', host.nas, '-m', '', '-p', `${host.vm}/2001.09.09.01.46.40`];
      const disks = JSON.stringify([{ target: 'vda', file: 'root.a.qcow2', to: '/tmp/by-hand', format: 'qcow2' }]);
      const script = join(host.lab.folder, 'host/nasbackup.sh');
      const start = ['start', '--job', 'hand', '--fence', '0', '--', 'restore', ...byHand, '--disks', disks];
      await expectRefusal(run(script, start), 'fence-stale');
    },
  }),
  ...BEFORE.flatMap((step) => killed(step, false)),
  ...AFTER.flatMap((step) => killed(step, true)),
  at('in-place', 'before the second swap', 'somebody cancels it', /^cancelled job-cancelled$/, {
    strike: async (host, job) => {
      await host.client.send('POST', `/runs/${job}/abort`);
    },
  }),
  volumesHeld('before the second swap'),
  at('new-disks', 'names are given', 'the service is killed (-9), another one comes', /^succeeded$/, { strike: serviceKilled }),
  at('new-disks', 'names are given', 'the script is killed (-9) with all that belongs to it', /^failed outcome-lost$/, {
    strike: killOperation,
  }),
];

const last = ({ points }: Stricken): string => points.at(-1)?.backup.id ?? '';

const THEIRS = 'somebody else’s\n';
function untouched(file: string): void {
  if (readFileSync(file, 'utf8') !== THEIRS) throw new Error(`${file} was changed`);
  rmSync(file);
}

async function secondTarget({ client }: Stricken, job: string): Promise<string> {
  const { plan } = await client.get<RestoreDto>(`/restores/${job}`);
  return plan?.disks[1]?.to ?? '';
}

let holder: ChildProcess | undefined;

/** Opens it as a QEMU of somebody else's would; `letGo` ends that. */
async function hold(image: readonly string[]): Promise<void> {
  const process = spawn('qemu-io', [...image], { stdio: ['pipe', 'pipe', 'pipe'] });
  holder = process;
  let said = '';
  for (const stream of [process.stdout, process.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
  await until(() => said.includes('qemu-io>'), `qemu-io has ${image.join(' ')}: ${said}`);
}

async function letGo(host: Stricken, job: string): Promise<void> {
  await waitForRun(host.client, job);
  holder?.kill('SIGKILL');
}

let device = '';

/** A block device of so many MiB that the second disk (32 MiB) is to go to. */
async function toDevice({ lab }: Stricken, mebibytes: number): Promise<object> {
  const file = join(lab.folder, 'images/device');
  writeFileSync(file, '');
  truncateSync(file, mebibytes * 1024 * 1024);
  device = (await run('losetup', ['--find', '--show', file])).stdout.trim();
  if (!statSync(device).isBlockDevice()) throw new Error(`${device} is no block device`);
  return { disks: ['vdb'], places: [{ target: 'vdb', path: device }], overwrite: true, to: undefined };
}

async function noDevice({ client, lab }: Stricken, job: string): Promise<void> {
  await waitForRun(client, job);
  await run('losetup', ['--detach', device]);
  rmSync(join(lab.folder, 'images/device'));
}

/** The server at the end of the line dies: what is mounted from it answers with errors from now on. */
async function killNas({ lab }: Stricken): Promise<void> {
  const line = join(lab.folder, 'run/faults.speed');
  const servers = readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words[1]?.endsWith('slow-line.mjs') === true && words.includes(line);
    } catch {
      return false;
    }
  });
  if (servers.length !== 1) throw new Error(`${servers.length} servers have ${line}`);
  servers.forEach((pid) => process.kill(Number(pid), 'SIGKILL'));
  await Promise.resolve();
}

async function bringNasBack(host: Stricken): Promise<void> {
  const mount = trimmed(host.lab.nasFile('faults', ''));
  // sshfs ends with its server, and its mount goes with it.
  const mounted = (): boolean => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${mount} `);
  await until(() => !mounted(), `${mount} is no mount any more`);
  rmdirSync(mount);
  await host.lab.verb('nas-slow', 'faults', trimmed(host.lab.nasFile('small', '')));
}
