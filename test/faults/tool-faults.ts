import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitForRun } from '../story/story';
import type { Fault } from './fault';
import type { Stricken } from './stricken';

const MIB = 1024 * 1024;

/** What other tools do to the VM meanwhile: theirs stays theirs. */
export const TOOL_FAULTS: readonly Fault[] = [
  {
    what: 'takes an external snapshot and commits it again before the look',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^INCREMENTAL regular$/,
    strike: async (stricken, _job, moment) => {
      await snapshot(stricken, moment);
      await commit(stricken);
    },
  },
  {
    what: 'takes an external snapshot and commits it again between the look and the start of the script',
    step: 'decided',
    outcomes: /^succeeded$/,
    quick: true,
    made: /^INCREMENTAL regular$/,
    strike: async (stricken, _job, moment) => {
      await snapshot(stricken, moment);
      await commit(stricken);
    },
  },
  {
    what: 'takes an external snapshot before the look, and commits it after the run',
    step: 'before inspect',
    outcomes: /^succeeded$/,
    made: /^FULL lineage-mismatch$/,
    next: /^FULL lineage-mismatch$/,
    strike: (stricken, _job, moment) => snapshot(stricken, moment),
    mend: commitAfterRun,
  },
  {
    what: 'takes an external snapshot between the look and the start of the script, and commits it after the run',
    step: 'decided',
    outcomes: /^failed disks-mismatch$/,
    strike: (stricken, _job, moment) => snapshot(stricken, moment),
    mend: commitAfterRun,
  },
  ...(['before inspect', 'decided', 'exit code unread'] as const).map((step): Fault => ({
    what: 'makes a checkpoint of its own, which stays as it is',
    step,
    outcomes: /^succeeded$/,
    strike: async (stricken) => {
      stricken.strangers.add('other-tool');
      await stricken.virsh('checkpoint-create-as', stricken.vm, 'other-tool');
    },
    afterwards: async (stricken) => {
      const { lab, vm } = stricken;
      const bitmaps = await lab.verb('bitmaps', vm);
      for (const target of ['vda', 'vdb'])
        // Every write since is in it, those of the next backup's moment at least.
        if (!new RegExp(`^${target}\tother-tool\trecording,persistent\t[1-9]`, 'm').test(bitmaps))
          throw new Error(`the other tool's bitmap on ${target} is not what it was:\n${bitmaps}`);
      // Fails when the record is gone.
      await stricken.virsh('checkpoint-delete', vm, 'other-tool');
      stricken.strangers.delete('other-tool');
    },
  })),
  {
    what: 'begins a backup of its own between the look and the start of the script',
    step: 'decided',
    outcomes: /^failed job-busy$/,
    strike: async (stricken) => {
      const { lab, vm } = stricken;
      // QEMU's user makes the socket.
      const folder = join(lab.folder, 'images/other');
      mkdirSync(folder, { recursive: true });
      chmodSync(folder, 0o777);
      const xml = join(lab.folder, 'other.xml');
      const disks = ['vda', 'vdb'].map(
        (disk) => `<disk name='${disk}' type='file'><scratch file='${scratchOf(stricken, disk)}'/></disk>`,
      );
      writeFileSync(
        xml,
        `<domainbackup mode='pull'><server transport='unix' socket='${folder}/socket'/><disks>${disks.join('')}</disks></domainbackup>`,
      );
      await stricken.virsh('backup-begin', vm, xml);
    },
    mend: async (stricken, job) => {
      await waitForRun(stricken.client, job);
      // Fails when somebody has ended it.
      await stricken.virsh('backup-dumpxml', stricken.vm);
      await stricken.virsh('domjobabort', stricken.vm);
    },
  },
];

const scratchOf = ({ lab }: Stricken, disk: string): string => join(lab.folder, `images/other-${disk}.qcow2`);

/** From now on the guest writes into overlays. */
async function snapshot(stricken: Stricken, moment: string): Promise<void> {
  const { lab, vm } = stricken;
  await stricken.virsh('snapshot-create-as', vm, 'other-tool', '--disk-only', '--no-metadata', '--atomic');
  await lab.write(vm, 'vda', 0x3c, 40 * MIB, MIB);
  await lab.write(vm, 'vdb', 0x3d, 5 * MIB, MIB);
  await lab.moment(vm, moment);
}

async function commit(stricken: Stricken): Promise<void> {
  const { lab, vm } = stricken;
  for (const disk of ['vda', 'vdb']) await stricken.virsh('blockcommit', vm, disk, '--active', '--pivot', '--wait');
  const images = join(lab.folder, 'images');
  for (const file of readdirSync(images)) if (file.endsWith('.other-tool')) rmSync(join(images, file));
}

async function commitAfterRun(stricken: Stricken, job: string): Promise<void> {
  await waitForRun(stricken.client, job);
  await commit(stricken);
}
