import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { waitForRun } from '../story/story';
import { until } from '../support/brake';
import { type Fault, restart } from './fault';
import { mountsOf, SLOW, type Step, type Stricken } from './stricken';

const run = promisify(execFile);

/** What becomes of the whole host. */
export const HOST_FAULTS: readonly Fault[] = [
  goesDown('copying', 'survives', true),
  goesDown('copying', 'is lost'),
  goesDown('data complete', 'survives'),
  clockOff('ahead', 'from before a run'),
  clockOff('behind', 'from before a run'),
  clockOff('ahead', 'from the middle of a run'),
  clockOff('behind', 'from the middle of a run'),
  {
    what: 'its disk is full, so that no job directory can be written',
    step: 'decided',
    outcomes: /^failed host\.script-failed$/,
    quick: true,
    strike: async (host) => {
      await smallState(host);
      await fill(host);
    },
    mend: async (host, job) => {
      await waitForRun(host.client, job);
      await ownState(host);
    },
  },
  {
    what: 'its disk fills up in the middle of a run, so that nothing more can be written into the job directory',
    step: 'decided',
    // Whichever of its words the script cannot keep first: a code of ours, and no accident. Facts that were cut short may speak against the bitmap.
    outcomes: /^failed (?!internal$)/,
    next: /^(INCREMENTAL regular|FULL bitmap-unconfirmed)$/,
    strike: async (host) => {
      await host.line(SLOW);
      await smallState(host);
    },
    mend: async (host, job) => {
      await until(() => existsSync(host.jobFile(job, 'progress')), 'the job is at work');
      await fill(host);
      await host.line('unlimited');
      await sleep(8000);
      rmSync(filler(host));
      await waitForRun(host.client, job);
      await ownState(host);
    },
  },
];

function goesDown(step: Step, fate: 'survives' | 'is lost', quick = false): Fault {
  return {
    what: `goes down in the middle of a run and comes back; its job directory ${fate}`,
    step,
    outcomes: /^failed outcome-lost$/,
    // Who loses power loses what QEMU had not saved: the bitmaps since its start are good for nothing.
    next: /^FULL (bitmap-inconsistent|bitmap-missing)$/,
    quick,
    strike: (stricken, job) => goDown(stricken, job, fate),
  };
}

/** What the host runs ends at once, as with its power, and the mounts of the job go; then it is there again, and its VM. */
export async function goDown(stricken: Stricken, job: string, fate: 'survives' | 'is lost'): Promise<void> {
  process.kill(-stricken.runnerOf(job), 'SIGKILL');
  await stricken.lab.vmCrash(stricken.vm);
  await unmountJob(stricken, job);
  if (fate === 'is lost') rmSync(stricken.jobFile(job, ''), { recursive: true });
  else writeFileSync(stricken.jobFile(job, 'boot_id'), 'another-boot\n');
  await restart(stricken);
}

type When = 'from before a run' | 'from the middle of a run';

/**
 * The clock is this machine's and others live by it: what the host script and all that it starts take for the time is an hour off.
 * How long something takes is nobody's clock, and stays what it is.
 */
function clockOff(where: 'ahead' | 'behind', when: When): Fault {
  const offset = where === 'ahead' ? 3600 : -3600;
  const jumps = when === 'from the middle of a run';
  return {
    what: `its clock is an hour ${where} ${when} on, and put right after it`,
    step: jumps ? 'decided' : 'before inspect',
    outcomes: /^succeeded$/,
    strike: async (host) => {
      if (jumps) await host.line(SLOW);
      await clockOfItsOwn(host);
      setClock(host, jumps ? 0 : offset);
    },
    mend: async (host, job) => {
      if (jumps) {
        await until(() => existsSync(host.jobFile(job, 'progress')), 'the job is at work');
        setClock(host, offset);
        await sleep(2000);
        await host.line('unlimited');
      }
      const { started, ended } = await waitForRun(host.client, job);
      clockOfTheMachine(host);
      near('the books', started, 0);
      near('the books', ended, 0);
      near('the job, of its start,', readFileSync(host.jobFile(job, 'started'), 'utf8'), jumps ? 0 : offset);
      near('the job, of its end,', readFileSync(host.jobFile(job, 'ended'), 'utf8'), offset);
    },
  };
}

const script = ({ lab }: Stricken): string => join(lab.folder, 'host/nasbackup.sh');
const clock = ({ lab }: Stricken): string => join(lab.folder, 'host/clock');

/** From the next call on the host script, and all that it starts, read the time off a file. */
async function clockOfItsOwn(host: Stricken): Promise<void> {
  // bash finds nothing of libfaketime's in its environment unless somebody else has made the memory that this shares.
  const keeper = spawn('faketime', ['-f', '+0', 'sleep', '600'], { stdio: 'ignore' });
  let shared: string[] = [];
  await until(() => (shared = sharedBy(keeper.pid ?? 0)).length === 2, 'faketime runs');
  const settings = [`FAKETIME_TIMESTAMP_FILE=${clock(host)}`, 'FAKETIME_NO_CACHE=1', 'FAKETIME_DONT_FAKE_MONOTONIC=1'];
  const preload = [...shared, ...settings].map((setting) => `'${setting}'`).join(' ');
  const file = script(host);
  const [first = '', ...rest] = readFileSync(file, 'utf8').split('\n');
  const again = `[[ \${LD_PRELOAD-} ]] || exec env ${preload} "$0" "$@"`;
  writeFileSync(`${file}.off`, [first, again, ...rest].join('\n'), { mode: 0o755 });
  await run('cp', ['-a', file, `${file}.right`]);
  renameSync(`${file}.off`, file);
  keepers.set(host, () => killChildren(keeper.pid ?? 0));
}

function clockOfTheMachine(host: Stricken): void {
  renameSync(`${script(host)}.right`, script(host));
  keepers.get(host)?.();
}
const keepers = new WeakMap<Stricken, () => void>();

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

const sharedBy = (keeper: number): string[] =>
  childrenOf(keeper).flatMap((pid) =>
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .filter((setting) => /^(LD_PRELOAD|FAKETIME_SHARED)=/.test(setting)),
  );

/** The one that waits for them ends with them, and takes its memory away. */
const killChildren = (keeper: number): void => childrenOf(keeper).forEach((pid) => process.kill(pid));

const setClock = (host: Stricken, seconds: number): void =>
  writeFileSync(clock(host), `${seconds < 0 ? '-' : '+'}${Math.abs(seconds)}s\n`);

function near(who: string, time: string | null, seconds: number): void {
  const off = (Date.parse(time?.trim() ?? '') - Date.now()) / 1000 - seconds;
  if (!(Math.abs(off) < 600)) throw new Error(`${who} says ${time}, which is ${off} s from what it must be`);
}

const state = ({ lab }: Stricken): string => join(lab.folder, 'host/state');
const filler = (host: Stricken): string => join(state(host), 'filler');

/** The host's state moves to a small disk. */
async function smallState(host: Stricken): Promise<void> {
  const copy = `${state(host)}.copy`;
  await run('cp', ['-a', state(host), copy]);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=0700', 'tmpfs', state(host)]);
  await run('cp', ['-a', `${copy}/.`, state(host)]);
  rmSync(copy, { recursive: true });
}

async function fill(host: Stricken): Promise<void> {
  const { bavail, bsize } = statfsSync(state(host));
  await run('fallocate', ['-l', `${bavail * bsize}`, filler(host)]);
}

async function ownState(host: Stricken): Promise<void> {
  await until(
    () =>
      run('umount', [state(host)]).then(
        () => true,
        () => false,
      ),
    'nobody uses the small disk',
  );
}

/** A reboot takes the mounts with it: those of this job, for others work on this machine, too. */
async function unmountJob(stricken: Stricken, job: string): Promise<void> {
  // The line to the NAS is quick again, or its last bytes would hold them.
  await stricken.line('unlimited');
  for (const point of mountsOf(stricken, job).reverse()) {
    await run('umount', ['-l', point]);
    rmdirSync(point);
  }
  // What no mount hides any more: the folder of a pull's socket.
  await run('rm', ['-r', '--one-file-system', readFileSync(stricken.jobFile(job, 'tmp'), 'utf8').trim()]);
}
