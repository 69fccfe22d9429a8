import { Command } from 'commander';
import type { RetentionPlanDto } from '../retention/dto/retention.dto';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

/** Options and what the API calls them. */
const RULES = {
  keepLast: 'the newest',
  keepHourly: 'one an hour',
  keepDaily: 'one a day',
  keepWeekly: 'one a week',
  keepMonthly: 'one a month',
  keepYearly: 'one a year',
} as const;

const dashed = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** `chainkeeper retention`. */
export function retentionCommand(): Command {
  const plan = command('plan', 'say what a policy would let go today, and why each other point stays; changes nothing').argument(
    '<vm>',
    'id or name',
  );
  for (const [name, what] of Object.entries(RULES)) plan.option(`--${dashed(name)} <n>`, `keep ${what}, so many`);
  plan
    .option('--min-age-hours <n>', 'what is younger stays')
    .option('--zone <name>', 'time zone of days and weeks (default: UTC)');
  plan.action(
    action(async (vm: string, { json, ...wishes }: CommonOptions & Record<string, string>) => {
      const names = [...Object.keys(RULES), 'minAgeHours', 'zone'];
      const query = new URLSearchParams(
        names.flatMap((name): [string, string][] => (wishes[name] === undefined ? [] : [[name, wishes[name]]])),
      );
      const told = await client().get<RetentionPlanDto>(`/vms/${encodeURIComponent(vm)}/retention?${query.toString()}`);
      show(json, told, () =>
        [
          table(told.lines, [
            { title: 'DATE', of: (row) => row.date },
            { title: 'TYPE', of: (row) => row.type },
            { title: 'SIZE', of: (row) => bytes(row.size), right: true },
            { title: 'ASSURANCE', of: (row) => row.assurance },
            { title: 'FATE', of: (row) => row.fate },
            { title: 'WHY', of: (row) => row.why },
            { title: 'ID', of: (row) => row.backup },
          ]),
          `${bytes(told.bytesFreed)} would be freed, restore points left: ${told.pointsLeft}`,
        ].join('\n'),
      );
    }),
  );
  return new Command('retention').description('which restore points a policy keeps').addCommand(plan);
}
