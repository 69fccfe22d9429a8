import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { waitForRun } from '../story/story';
import { type Fault, restart } from './fault';
import type { Stricken } from './stricken';

const run = promisify(execFile);
const MIB = 1024 * 1024;
const SIZE = 32 * MIB;

/** What becomes of the VM's disks. What happens before the look happens between two backups. */
export const DISK_FAULTS: readonly Fault[] = [
  {
    what: 'a disk is added before the look',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^FULL disk-set-changed$/,
    strike: async (stricken, _job, moment) => {
      await addDisk(stricken);
      await stricken.lab.moment(stricken.vm, moment);
    },
    afterwards: removeDisk,
  },
  {
    what: 'a disk is added between the look and the start of the script',
    step: 'decided',
    outcomes: /^failed disks-mismatch$/,
    next: /^FULL disk-set-changed$/,
    strike: addDisk,
    afterwards: removeDisk,
  },
  {
    what: 'a disk is added in the middle',
    step: 'copying',
    outcomes: /^failed disks-mismatch$/,
    next: /^FULL disk-set-changed$/,
    strike: addDisk,
    afterwards: removeDisk,
  },
  {
    what: 'a disk is taken out before the look, and put in again after the run',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^FULL disk-set-changed$/,
    next: /^FULL disk-set-changed$/,
    strike: async ({ lab, vm }, _job, moment) => {
      await lab.verb('disk-detach', vm, 'vdb');
      await lab.moment(vm, moment);
    },
    mend: putIn,
  },
  {
    what: 'a disk is taken out between the look and the start of the script, and put in again after the run',
    step: 'decided',
    outcomes: /^failed disks-mismatch$/,
    strike: async ({ lab, vm }) => {
      await lab.verb('disk-detach', vm, 'vdb');
    },
    mend: putIn,
  },
  {
    what: 'a disk is to be taken out in the middle, which libvirt refuses',
    step: 'copying',
    outcomes: /^succeeded$/,
    strike: async (stricken) => {
      await stricken.refused(/active block job/, 'detach-disk', stricken.vm, 'vda', '--live');
    },
  },
  {
    what: 'a disk is shrunk before the look, and grown back after the run',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^FULL disk-shrunk$/,
    next: /^FULL disk-resize-unknown$/,
    strike: shrink,
    mend: growBack,
  },
  {
    what: 'a disk is shrunk between the look and the start of the script, and grown back after the run',
    step: 'decided',
    outcomes: /^succeeded$/,
    made: /^FULL disk-shrunk$/,
    // The size at the look was another one: nothing is known to support that full.
    next: /^FULL parent-unproven$/,
    strike: shrink,
    mend: growBack,
  },
  {
    what: 'the bitmap is lost on one of two disks before the look',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^FULL bitmap-missing$/,
    strike: loseBitmap,
  },
  {
    what: 'the bitmap is lost on one of two disks between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    made: /^FULL bitmap-missing$/,
    quick: true,
    strike: loseBitmap,
  },
  {
    what: 'the new bitmap is lost on one of two disks before the run is booked',
    step: 'exit code unread',
    outcomes: /^succeeded$/,
    next: /^FULL bitmap-missing$/,
    strike: async (stricken) => {
      const newest = (await stricken.lab.bitmaps(stricken.vm, 'vdb')).at(-1) ?? '';
      await stricken.virsh('checkpoint-delete', stricken.vm, newest, '--metadata');
      await dropLive(stricken, 'vdb', newest);
    },
  },
  {
    what: 'a disk is another file before the look, with the same bytes, as after a storage migration',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^FULL lineage-mismatch$/,
    strike: async (stricken) => {
      await stricken.lab.vmStop(stricken.vm);
      await stricken.lab.verb('disk-replace', stricken.vm, 'vdb');
      await restart(stricken);
    },
  },
  {
    what: 'a disk is replaced by a namesake of other bytes, its bitmap too, between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    quick: true,
    made: /^FULL lineage-mismatch$/,
    strike: namesake,
  },
  {
    what: 'a disk is replaced by a namesake of other bytes, its bitmap too, before the look',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^FULL lineage-mismatch$/,
    strike: namesake,
  },
  {
    what: 'a disk grows between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    strike: async ({ lab, vm }, _job, moment) => {
      await lab.diskResize(vm, 'vdb', 40 * MIB);
      // The run has not begun on the host: what it takes is the disk of now.
      await lab.moment(vm, moment);
    },
  },
];

async function addDisk({ lab, vm }: Stricken): Promise<void> {
  await lab.diskAdd(vm, 'vdc', 8 * MIB);
  await lab.write(vm, 'vdc', 0x77, MIB, 2 * MIB);
}

/** The next fault expects the disks of before, and a chain over them. */
async function removeDisk(stricken: Stricken): Promise<void> {
  await stricken.lab.verb('disk-remove', stricken.vm, 'vdc');
  await stricken.backup();
}

async function putIn({ client, lab, vm }: Stricken, job: string): Promise<void> {
  await waitForRun(client, job);
  await lab.verb('disk-attach', vm, 'vdb');
}

async function shrink({ lab, vm }: Stricken, _job: string, moment: string): Promise<void> {
  await lab.diskResize(vm, 'vdb', SIZE / 2);
  await lab.moment(vm, moment);
}

async function growBack({ client, lab, vm }: Stricken, job: string): Promise<void> {
  await waitForRun(client, job);
  await lab.diskResize(vm, 'vdb', SIZE);
}

async function loseBitmap(stricken: Stricken): Promise<void> {
  const { lab, vm } = stricken;
  const [bitmap = ''] = await lab.bitmaps(vm, 'vdb');
  await lab.vmStop(vm);
  await lab.bitmapRemove(vm, 'vdb', bitmap);
  await restart(stricken);
}

async function dropLive(stricken: Stricken, target: string, bitmap: string): Promise<void> {
  const nodes = JSON.parse(await stricken.virsh('qemu-monitor-command', stricken.vm, '{"execute":"query-block"}')) as {
    return: { qdev?: string; inserted?: { 'node-name': string } }[];
  };
  const disk = `/virtio-disk${target.charCodeAt(2) - 'a'.charCodeAt(0)}/`;
  const node = nodes.return.find(({ qdev }) => qdev?.includes(disk))?.inserted?.['node-name'];
  const answer = await stricken.virsh(
    'qemu-monitor-command',
    stricken.vm,
    JSON.stringify({ execute: 'block-dirty-bitmap-remove', arguments: { node, name: bitmap } }),
  );
  if (answer.includes('"error"')) throw new Error(`bitmap ${bitmap} stays on ${target}: ${answer}`);
}

/** At the old path lies another file with other bytes, and in it an empty bitmap of the old name. */
async function namesake(stricken: Stricken, _job: string, moment: string): Promise<void> {
  const { lab, vm } = stricken;
  const [bitmap = ''] = await lab.bitmaps(vm, 'vdb');
  await lab.vmStop(vm);
  await lab.verb('disk-replace', vm, 'vdb', 'there');
  await lab.write(vm, 'vdb', 0x99, 3 * MIB, MIB);
  const path = (await lab.vmDisks(vm)).find(({ target }) => target === 'vdb')?.path ?? '';
  await run('qemu-img', ['bitmap', '--add', '-f', 'qcow2', path, bitmap]);
  await restart(stricken);
  await lab.moment(vm, moment);
}
