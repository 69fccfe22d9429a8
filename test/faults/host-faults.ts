import { execFile } from 'node:child_process';
import { readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Fault, restart } from './fault';
import { mountsOf, type Stricken } from './stricken';

const run = promisify(execFile);

/** What becomes of the whole host. */
export const HOST_FAULTS: readonly Fault[] = (['survives', 'is lost'] as const).map((fate): Fault => ({
  what: `goes down in the middle of a run and comes back; its job directory ${fate}`,
  step: 'copying',
  outcomes: /^failed outcome-lost$/,
  // Who loses power loses what QEMU had not saved: the bitmaps since its start are good for nothing.
  next: /^FULL (bitmap-inconsistent|bitmap-missing)$/,
  quick: fate === 'survives',
  strike: async (stricken, job) => {
    // What the host runs ends at once, as with its power.
    process.kill(-stricken.runnerOf(job), 'SIGKILL');
    await stricken.lab.vmCrash(stricken.vm);
    await unmountJob(stricken, job);
    if (fate === 'is lost') rmSync(stricken.jobFile(job, ''), { recursive: true });
    else writeFileSync(stricken.jobFile(job, 'boot_id'), 'another-boot\n');
    await restart(stricken);
  },
}));

/** A reboot takes the mounts with it: those of this job, for others work on this machine, too. */
async function unmountJob(stricken: Stricken, job: string): Promise<void> {
  // The line to the NAS is quick again, or its last bytes would hold them.
  await stricken.line('unlimited');
  for (const point of mountsOf(stricken, job).reverse()) {
    await run('umount', ['-l', point]);
    rmdirSync(point);
  }
  rmdirSync(readFileSync(stricken.jobFile(job, 'tmp'), 'utf8').trim());
}
