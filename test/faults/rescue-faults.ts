import { execFile } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BackupDto, BackupWithEvidenceDto } from '../../src/backups/dto/backup.dto';
import { waitForRun } from '../story/story';
import type { Fault } from './fault';
import { readerFaults } from './reader-faults';
import type { Stricken } from './stricken';

const run = promisify(execFile);

const LOST = 'vda';

/** The root disk's bitmap is lost while the VM is stopped; the other disk has its own still. */
async function loseBitmap({ lab, vm, client }: Stricken): Promise<void> {
  const { activeCheckpoint } = await client.get<{ activeCheckpoint: string }>(`/vms/${vm}`);
  await lab.vmStop(vm);
  // After a fault that was not as it should be it may be lost already.
  if ((await lab.bitmaps(vm, LOST)).includes(activeCheckpoint)) await lab.bitmapRemove(vm, LOST, activeCheckpoint);
  await lab.vmStart(vm);
}

const RESCUE = {
  asks: { onLostBitmap: 'rescue' },
  before: loseBitmap,
} as const;
const RESCUED = /^INCREMENTAL rescued$/;
/** There is nothing to compare with, or nowhere to: an honest full, and a new chain. */
const INSTEAD = { outcomes: /^succeeded$/, made: /^FULL bitmap-missing$/ };

/** What becomes of a run that compares a disk with its chain, for its bitmap is lost. */
export const RESCUE_FAULTS: readonly Fault[] = [
  ...readerFaults({
    ...RESCUE,
    made: RESCUED,
    again: RESCUED,
    afterCrash: RESCUED,
    withoutScratch: INSTEAD,
  }),
  {
    ...RESCUE,
    ...INSTEAD,
    what: 'the parent’s file is missing; later it is there again',
    step: 'decided',
    strike: async (host) => {
      await run('mv', [await parentFile(host), aside(host)]);
    },
    mend: (host, job) => putBack(host, job),
  },
  {
    ...RESCUE,
    ...INSTEAD,
    what: 'the parent’s file is no image any more; later it is what it was',
    step: 'decided',
    strike: async (host) => {
      const file = await parentFile(host);
      await run('cp', [file, aside(host)]);
      const handle = openSync(file, 'r+');
      writeSync(handle, Buffer.alloc(512), 0, 512, 0);
      closeSync(handle);
    },
    mend: (host, job) => putBack(host, job),
  },
  {
    ...RESCUE,
    outcomes: /^succeeded$/,
    made: RESCUED,
    what: 'the parent’s file was altered where nobody has written since: the comparison finds it',
    step: 'decided',
    strike: async (host, _job, moment) => {
      const file = await parentFile(host);
      await run('cp', [file, aside(host)]);
      await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0x66 56M 64K', file]);
      momentOfIt = moment;
    },
    mend: async (host, job) => {
      const { backupId } = await waitForRun(host.client, job);
      // What it made is true on what was altered, and the aftermath sees it true on what was put right.
      const { externalId, disks } = await host.client.get<BackupWithEvidenceDto>(`/backups/${backupId}`);
      const file = join(host.nas, externalId ?? '', disks.find(({ target }) => target === LOST)?.file ?? '');
      if (!(await host.lab.same(host.vm, momentOfIt, LOST, file))) throw new Error('what was altered is in the backup');
      await putBack(host, job);
    },
  },
];
let momentOfIt = '';

const aside = ({ lab }: Stricken): string => join(lab.folder, 'parent.qcow2');

/** The root disk's file of the newest restore point, which a run that has begun leans on. */
async function parentFile({ client, vm, nas }: Stricken): Promise<string> {
  const all = await client.all<BackupDto>(`/backups?vm=${vm}`);
  const good = all.filter(({ status }) => status === 'BackedUp');
  const newest = good.sort((one, other) => (one.externalId ?? '').localeCompare(other.externalId ?? '')).at(-1);
  const { externalId, disks } = await client.get<BackupWithEvidenceDto>(`/backups/${newest?.id}`);
  return (parent = join(nas, externalId ?? '', disks.find(({ target }) => target === LOST)?.file ?? ''));
}
let parent = '';

async function putBack(host: Stricken, job: string): Promise<void> {
  await waitForRun(host.client, job);
  await run('cp', ['--remove-destination', aside(host), parent]);
  await run('rm', [aside(host)]);
}
