import type { Command } from 'commander';
import type { BitmapsDto } from '../bitmaps/dto/bitmap.dto';
import type { ReleaseDto } from '../bitmaps/dto/release.dto';
import { age, bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

function releaseText({ vm, dryRun, bitmaps, activeCheckpoint }: ReleaseDto): string {
  if (bitmaps.length === 0)
    return `no bitmap of ours is on ${vm}${dryRun || activeCheckpoint === null ? '' : '; its chain is closed'}`;
  return [
    table(bitmaps, [
      { title: 'BITMAP', of: (row) => row.name },
      { title: 'DISKS', of: (row) => row.disks.join(',') },
      { title: 'CHECKPOINT', of: (row) => row.checkpoint },
    ]),
    dryRun
      ? `these would be taken off ${vm}, and its next backup would be a full`
      : `taken off ${vm}; its chain is closed, and the next backup is a full`,
  ].join('\n');
}

/** `chainkeeper vm bitmaps`. */
export const bitmapsCommand = (): Command =>
  command('bitmaps', 'show every bitmap on a VM: whose it is, how it is, and what to do about it')
    .argument('<vm>', 'id or name')
    .action(
      action(async (id: string, options: CommonOptions) => {
        const shown = await client().get<BitmapsDto>(`/vms/${encodeURIComponent(id)}/bitmaps`);
        show(options.json, shown, () =>
          shown.items.length === 0
            ? `no bitmap is on ${shown.vm} (${shown.state})`
            : table(shown.items, [
                { title: 'BITMAP', of: (row) => row.name },
                { title: 'AGE', of: (row) => (row.created === null ? null : age(row.created)), right: true },
                { title: 'DISKS', of: (row) => row.disks.join(',') },
                { title: 'DIRTY', of: (row) => bytes(row.dirtyBytes), right: true },
                { title: 'GRANULARITY', of: (row) => bytes(row.granularity), right: true },
                { title: 'HEALTH', of: (row) => row.health },
                { title: 'OWNER', of: (row) => row.owner },
                { title: 'OF', of: (row) => row.runId ?? row.backupId },
                { title: 'WHAT TO DO', of: (row) => row.advice },
              ]),
        );
      }),
    );

/** `chainkeeper vm release`. */
export const releaseCommand = (): Command =>
  command('release', 'take all our bitmaps off a VM, before an internal snapshot is reverted or when it leaves')
    .argument('<vm>', 'id or name')
    .option('--dry-run', 'only say what would be taken off')
    .action(
      action(async (id: string, options: CommonOptions & { dryRun?: boolean }) => {
        const dryRun = options.dryRun ? 'true' : 'false';
        const { body } = await client().send<ReleaseDto>('POST', `/vms/${encodeURIComponent(id)}/release?dryRun=${dryRun}`);
        show(options.json, body, () => releaseText(body));
      }),
    );
