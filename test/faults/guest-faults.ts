import { waitForRun } from '../story/story';
import { type Fault, restart } from './fault';
import type { Stricken } from './stricken';

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
    what: 'QEMU killed (-9), started again',
    step: 'data complete',
    // The data is there, and no bitmap that could follow it.
    outcomes: /^failed (bitmap-unconfirmed|guest-gone)$/,
    next: /^FULL (bitmap-inconsistent|bitmap-missing)$/,
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
    what: 'gone before the look; its owner starts it after the run',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^FULL vm-stopped$/,
    next: /^INCREMENTAL redefined$/,
    strike: destroy,
    mend: startAfterRun,
  },
  {
    what: 'gone between the look and the start of the script; its owner starts it after the run',
    step: 'decided',
    outcomes: /^succeeded$/,
    made: /^FULL vm-stopped$/,
    next: /^INCREMENTAL redefined$/,
    strike: destroy,
    mend: startAfterRun,
  },
  {
    what: 'gone in the middle; its owner starts it after the run',
    step: 'copying',
    outcomes: /^failed guest-gone$/,
    next: /^INCREMENTAL redefined$/,
    strike: destroy,
    mend: startAfterRun,
  },
  {
    what: 'gone when all is copied; its owner starts it after the run',
    step: 'data complete',
    outcomes: /^failed guest-gone$/,
    next: /^INCREMENTAL redefined$/,
    strike: destroy,
    mend: startAfterRun,
  },
  {
    what: 'gone before the exit code is read; its owner starts it after the run',
    step: 'exit code unread',
    outcomes: /^succeeded$/,
    next: /^INCREMENTAL redefined$/,
    strike: destroy,
    mend: startAfterRun,
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
];

async function destroy({ lab, vm }: Stricken): Promise<void> {
  await lab.vmStop(vm);
}

async function startAfterRun(stricken: Stricken, job: string): Promise<void> {
  await stricken.line('unlimited');
  await waitForRun(stricken.client, job);
  await restart(stricken);
}
