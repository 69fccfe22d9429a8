import type { Command } from 'commander';
import type { RecreationRow } from '../domain/audit/recreation-report';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

/** `chainkeeper audit`: unusual incrementals beside VM restarts and recreation events. */
export const auditCommand = (): Command =>
  command('audit', 'report incrementals with their size against the usual, restarts and recreation events')
    .option('--vm <vm>', 'only of this VM (id or name)')
    .option('--since <time>', 'only backups finished at or after this moment (RFC 3339)')
    .option('--csv', 'print CSV')
    .action(
      action(async (options: CommonOptions & { vm?: string; since?: string; csv?: boolean }) => {
        const query = new URLSearchParams();
        if (options.vm) query.set('vm', options.vm);
        if (options.since) query.set('since', options.since);
        if (options.csv) query.set('format', 'csv');
        const service = client();
        if (options.csv) {
          process.stdout.write(await service.get<string>(`/audit/recreations?${query.toString()}`));
          return;
        }
        const { items } = await service.get<{ items: RecreationRow[] }>(`/audit/recreations?${query.toString()}`);
        show(options.json, items, () =>
          table(items, [
            { title: 'DATE', of: (row) => row.date },
            { title: 'VM', of: (row) => row.vm },
            { title: 'TYPE', of: (row) => row.type },
            { title: 'SIZE', of: (row) => bytes(row.size), right: true },
          ]),
        );
      }),
    );
