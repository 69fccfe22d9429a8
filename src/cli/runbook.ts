import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { RunbookDto } from '../backups/dto/runbook.dto';
import { show } from './output';
import { action, client, command, type CommonOptions } from './program';

/** `chainkeeper runbook BACKUP`. */
export const runbookCommand = (): Command =>
  command('runbook', 'print the commands that restore a backup by hand, with mount and qemu-img alone')
    .argument('<backup>', 'id')
    .option('--to <directory>', 'where the files go (default: a directory of its own below /var/tmp)')
    .action(
      action(async (id: string, options: CommonOptions & { to?: string }) => {
        const to = options.to === undefined ? '' : `?to=${encodeURIComponent(resolve(options.to))}`;
        const runbook = await client().get<RunbookDto>(`/backups/${encodeURIComponent(id)}/runbook${to}`);
        show(options.json, runbook, () => runbook.lines.join('\n'));
      }),
    );
