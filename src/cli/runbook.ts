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
    .option('--new-name <name>', 'the commands that make a VM of this name of it, and start it without network, as well')
    .action(
      action(async (id: string, { to, newName, json }: CommonOptions & { to?: string; newName?: string }) => {
        const query = new URLSearchParams({
          ...(to === undefined ? {} : { to: resolve(to) }),
          ...(newName === undefined ? {} : { newName }),
        });
        const runbook = await client().get<RunbookDto>(`/backups/${encodeURIComponent(id)}/runbook?${query.toString()}`);
        show(json, runbook, () => runbook.lines.join('\n'));
      }),
    );
