import { setTimeout as sleep } from 'node:timers/promises';
import { waitForRun } from '../story/story';
import { type Fault, restart } from './fault';

/** What becomes of the VM. */
export const GUEST_FAULTS: readonly Fault[] = [
  {
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
    what: 'shut down and started between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    strike: async (stricken) => {
      await stricken.lab.vmStop(stricken.vm);
      await restart(stricken);
    },
  },
  {
    what: 'shut down between the look and the start of the script',
    step: 'decided',
    outcomes: /^(failed (vm-not-found|guest-gone)|succeeded)$/,
    next: /^INCREMENTAL redefined$/,
    strike: async ({ lab, vm }) => {
      await lab.vmStop(vm);
    },
    mend: async (stricken) => {
      await sleep(4000);
      await restart(stricken);
    },
  },
  {
    what: 'suspended by its user in the middle, and resumed by its user',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: async ({ lab, vm }) => {
      await lab.vmPause(vm);
    },
    mend: async (stricken, job) => {
      await stricken.line('unlimited');
      await waitForRun(stricken.client, job);
      // Nobody but its user resumes it.
      const state = (await stricken.virsh('domstate', stricken.vm, '--reason')).trim();
      if (!state.startsWith('paused (user)')) throw new Error(`the suspended guest is ${state}`);
      await stricken.lab.vmResume(stricken.vm);
    },
  },
  {
    what: 'the bitmap is lost on one of two disks between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
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
    what: 'a disk grows between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    strike: async ({ lab, vm }, _job, moment) => {
      await lab.diskResize(vm, 'vdb', 40 * 1024 * 1024);
      // The run has not begun on the host: what it takes is the disk of now.
      await lab.moment(vm, moment);
    },
  },
];
