import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ChainkeeperError } from '../../src/domain/errors';
import { addHost } from '../story/stage';
import { waitForRun } from '../story/story';
import { type Fault, restart } from './fault';
import { SLOW, type Stricken } from './stricken';

/** Where the VM runs, and what keeps it from going elsewhere. */
export const MOVE_FAULTS: readonly Fault[] = [
  {
    what: 'moved to another host between two backups, and back again',
    step: 'before retire',
    outcomes: /^succeeded$/,
    next: /^INCREMENTAL redefined$/,
    strike: () => Promise.resolve(),
    mend: async (stricken, job) => {
      const { client, lab, vm } = stricken;
      await waitForRun(client, job);
      await lab.vmStop(vm);
      await moveTo(stricken, await secondHost(stricken));
      await restart(stricken);
    },
    afterwards: async (stricken) => {
      // What the second host has seen of the lease, the first one honours, too: the numbers are the books'.
      await stricken.lab.vmStop(stricken.vm);
      await moveTo(stricken, stricken.host);
      await restart(stricken);
      const back = await stricken.backup();
      if (back.reason !== 'redefined') throw new Error(`back on the first host it is ${back.type} ${back.reason}`);
    },
  },
  {
    what: 'the books are to call another host its own in the middle, which they refuse',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: async (stricken) => {
      const code = await moveTo(stricken, await secondHost(stricken)).then(
        () => 'done',
        (error: unknown) => (error as ChainkeeperError).code,
      );
      if (code !== 'run.active') throw new Error(`the VM is on another host by the books while its backup goes on: ${code}`);
    },
  },
  {
    what: 'a migration and a copy of its disk are tried in the middle',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: async (stricken) => {
      const { lab, vm } = stricken;
      // libvirt waits half a minute for the job to end: it must not.
      await stricken.line('64K');
      const copy = join(lab.folder, 'images/copy');
      await stricken.refused(/already in active block job/, 'blockcopy', vm, 'vda', copy, '--transient-job');
      await stricken.refused(/cannot acquire state change lock/, 'migrate', vm, 'qemu:///system', '--live');
      await stricken.line(SLOW);
    },
  },
  {
    what: 'saved to a file as soon as the copying is over, and restored from it',
    step: 'copying',
    outcomes: /^(succeeded|failed guest-gone)$/,
    next: /^INCREMENTAL redefined$/,
    strike: (stricken) => {
      // It waits for the end of the job, as a migration would.
      saving = stricken.virsh('save', stricken.vm, savedFile(stricken));
      return Promise.resolve();
    },
    mend: async (stricken, job) => {
      await stricken.line('unlimited');
      await saving;
      await waitForRun(stricken.client, job);
      await stricken.virsh('restore', savedFile(stricken));
      rmSync(savedFile(stricken));
    },
  },
];

let saving: Promise<string> | undefined;
const savedFile = ({ lab }: Stricken): string => join(lab.folder, 'images/saved');

let second: { readonly of: Stricken; readonly id: string } | undefined;

/** One that the service reaches by another way, with a state of its own: it knows nothing of the first one's jobs and fences. */
async function secondHost(stricken: Stricken): Promise<string> {
  if (second?.of === stricken) return second.id;
  const { client, lab } = stricken;
  const access = await lab.accessOf(`${lab.user}2`);
  const scriptPath = (await lab.verb('host-beside')).trim();
  const { id } = await addHost(client, { ...access, scriptPath }, 'seed');
  second = { of: stricken, id };
  return id;
}

async function moveTo({ client, vm }: Stricken, host: string): Promise<void> {
  await client.send('PATCH', `/vms/${vm}`, { host });
}
