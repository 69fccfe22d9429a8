import type { Command } from 'commander';
import type { HostCheckDto, RepositoryCheckDto } from '../upkeep/dto/check.dto';
import type { SweepDto } from '../upkeep/dto/sweep.dto';
import { EXIT } from './exit-code';
import { oneLine, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

function showFindings(json: boolean | undefined, checked: HostCheckDto | RepositoryCheckDto): number {
  show(json, checked, () =>
    checked.findings
      .flatMap(({ severity, subject, what, why, command: mends }) => [
        `${severity.padEnd(7)}  ${subject}: ${what}`,
        ...(why === '' ? [] : [`         ${why}`]),
        ...(mends === null ? [] : [`         mend it: ${mends}`]),
      ])
      .map(oneLine)
      .join('\n'),
  );
  return { ok: EXIT.done, warning: EXIT.warnings, error: EXIT.failed }[checked.severity];
}

/** `chainkeeper host check`: ends with 3 for warnings, 1 for errors. */
export const checkCommand = (): Command =>
  command('check', 'say whether a host is ready for backups: what is wrong, why it matters, what mends it')
    .argument('<host>', 'id or name')
    .action(
      action(async (id: string, options: CommonOptions) =>
        showFindings(options.json, await client().get<HostCheckDto>(`/hosts/${encodeURIComponent(id)}/check`)),
      ),
    );

/** `chainkeeper repo check`: ends as `host check` does. */
export const repositoryCheckCommand = (): Command =>
  command('check', 'try from a host what a backup will ask of a repository: what is wrong, why it matters, what mends it')
    .argument('<repository>', 'id or name')
    .option('--host <host>', 'id or name of the host to look from (default: any that works)')
    .action(
      action(async (id: string, options: CommonOptions & { host?: string }) => {
        const from = options.host === undefined ? '' : `?host=${encodeURIComponent(options.host)}`;
        return showFindings(
          options.json,
          await client().get<RepositoryCheckDto>(`/repositories/${encodeURIComponent(id)}/check${from}`),
        );
      }),
    );

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
