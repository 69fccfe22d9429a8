import { type Command, Option } from 'commander';
import type { RecreationRow } from '../domain/audit/recreation-report';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

/** `chainkeeper audit`: unusual incrementals beside VM restarts and recreation events. */
export const auditCommand = (): Command =>
  command(
    'audit',
    'report each backup with its size against the VM’s usual, restarts since its parent, recreation event, reason and assurance',
  )
    .option('--vm <vm>', 'only of this VM (id or name)')
    .option('--since <time>', 'only backups finished at or after this moment (RFC 3339)')
    .addOption(new Option('--csv', 'print CSV').conflicts('json'))
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
            { title: 'RATIO', of: (row) => (row.ratio === null ? null : row.ratio.toFixed(2)), right: true },
            { title: 'UNUSUAL', of: (row) => row.suspicion },
            { title: 'RESTARTS', of: (row) => row.restarts, right: true },
            { title: 'RECREATED', of: (row) => row.recreated },
            { title: 'METHOD', of: (row) => row.recreateMethod },
            { title: 'REASON', of: (row) => row.reason },
            { title: 'ASSURANCE', of: (row) => row.assurance },
            { title: 'BACKUP', of: (row) => row.backupId },
          ]),
        );
      }),
    );
