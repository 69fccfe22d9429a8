import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { BackupWithEvidenceDto } from '../backups/dto/backup.dto';
import type { DeletionPlanDto } from '../backups/dto/deletion.dto';
import type { RunDto } from '../runs/dto/run.dto';
import { asker } from './asker';
import { EXIT } from './exit-code';
import { exitOf, follow } from './follow';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';
import { runText } from './runs';

const at = (id: string): string => `/backups/${encodeURIComponent(id)}`;

function planText({ steps, pointsLost, pointsLeft, bytesFreed }: DeletionPlanDto): string {
  if (steps.length === 0) return 'nothing to do';
  return [
    table(steps, [
      { title: 'STEP', of: (row) => row.kind },
      { title: 'BACKUP', of: (row) => row.backup },
      { title: 'FREES', of: (row) => (row.kind === 'remove' ? bytes(row.bytes) : null), right: true },
      { title: 'WHY', of: (row) => row.why },
    ]),
    `${bytes(bytesFreed)} freed, restore points lost: ${pointsLost.length}, left of the VM: ${pointsLeft}`,
  ].join('\n');
}

/** `chainkeeper delete BACKUP`. */
export const deleteCommand = (): Command =>
  command('delete', 'delete a backup; one that others stand on is hidden, and goes with the last of those')
    .argument('<backup>', 'id')
    .option('--forced', 'its whole chain goes with it')
    .option('--accept-loss', 'it may be the last restore point of its VM, or the best')
    .option('--wait', 'wait until it is done; the exit code says how it ended')
    .option('--dry-run', 'only say what would go, in which order, and what is lost')
    .action(
      action(
        async (
          id: string,
          options: CommonOptions & { forced?: boolean; acceptLoss?: boolean; wait?: boolean; dryRun?: boolean },
        ) => {
          const service = client();
          const wishes = `forced=${options.forced ?? false}&acceptLoss=${options.acceptLoss ?? false}`;
          if (options.dryRun) {
            const { body: plan } = await service.send<DeletionPlanDto>('DELETE', `${at(id)}?${wishes}&dryRun=true`);
            show(options.json, plan, () => planText(plan));
            return EXIT.done;
          }
          const { body: queued } = await service.send<RunDto>('DELETE', `${at(id)}?${wishes}`, undefined, {
            'idempotency-key': randomUUID(),
            'x-chainkeeper-trigger': 'cli',
          });
          const run = options.wait ? await follow(service, `/runs/${queued.id}`, options.json ?? false) : queued;
          show(options.json, run, () => runText(run));
          return options.wait ? exitOf(run) : EXIT.done;
        },
      ),
    );

/** `chainkeeper protect BACKUP`. */
export const protectCommand = (): Command =>
  command('protect', 'say that a backup must stay: nothing deletes it until then')
    .argument('<backup>', 'id')
    .requiredOption('--why <text>', 'why, for whoever meets it later')
    .option('--by <name>', 'who says so (default: the user of this shell)')
    .option('--until <time>', 'until when, RFC 3339 (default: until it is taken back)')
    .action(
      action(async (id: string, options: CommonOptions & { why: string; by?: string; until?: string }) => {
        const body = {
          why: options.why,
          by: options.by ?? asker(),
          ...(options.until === undefined ? {} : { until: options.until }),
        };
        const { body: backup } = await client().send<BackupWithEvidenceDto>('PUT', `${at(id)}/protection`, body);
        show(options.json, backup, () => `backup ${backup.id} is protected ${untilText(backup)}`);
      }),
    );

/** `chainkeeper unprotect BACKUP`. */
export const unprotectCommand = (): Command =>
  command('unprotect', 'take the protection of a backup back')
    .argument('<backup>', 'id')
    .action(
      action(async (id: string, options: CommonOptions) => {
        const { body: backup } = await client().send<BackupWithEvidenceDto>('DELETE', `${at(id)}/protection`);
        show(options.json, backup, () => `backup ${backup.id} is protected no more`);
      }),
    );

const untilText = ({ protection }: BackupWithEvidenceDto): string =>
  protection?.until ? `until ${protection.until}` : 'until somebody takes that back';
