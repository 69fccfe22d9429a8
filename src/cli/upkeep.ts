import type { Command } from 'commander';
import type { SweepDto } from '../upkeep/dto/sweep.dto';
import { EXIT } from './exit-code';
import { show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

/** `chainkeeper host sweep`: ends with 3 when something was left. */
export const sweepCommand = (): Command =>
  command('sweep', 'remove what runs left behind on a host and in the repositories of its VMs; tell what is not safe')
    .argument('<host>', 'id or name')
    .option('--dry-run', 'only say what would be removed')
    .action(
      action(async (id: string, options: CommonOptions & { dryRun?: boolean }) => {
        const dryRun = options.dryRun ? 'true' : 'false';
        const { body } = await client().send<SweepDto>('POST', `/hosts/${encodeURIComponent(id)}/sweep?dryRun=${dryRun}`);
        show(options.json, body, () =>
          body.items.length === 0
            ? `nothing was left behind on ${body.host}`
            : table(body.items, [
                { title: 'WHAT', of: (row) => row.code },
                { title: 'ACTION', of: (row) => row.action },
                { title: 'WHERE', of: (row) => row.subject },
                { title: 'WHY', of: (row) => row.text },
              ]),
        );
        return body.items.some((item) => item.action === 'left') ? EXIT.warnings : EXIT.done;
      }),
    );
