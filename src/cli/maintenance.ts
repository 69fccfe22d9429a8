import { Command, Option } from 'commander';
import { RUNNING_WISHES } from '../domain/run/plan-maintenance';
import type { ConcernedRunDto, MaintenanceDto } from '../inventory/dto/maintenance.dto';
import { asker } from './asker';
import { oneLine, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

interface BeginOptions extends CommonOptions {
  readonly why: string;
  readonly by?: string;
  readonly running?: string;
  readonly dryRun?: boolean;
}

const runs = (all: readonly ConcernedRunDto[]): string =>
  table(all, [
    { title: 'VM', of: (row) => row.vm },
    { title: 'WHAT', of: (row) => row.kind },
    { title: 'STATE', of: (row) => row.state },
    { title: 'IS TO STOP', of: (row) => (row.abort ? 'yes' : null) },
    { title: 'RUN', of: (row) => row.id },
  ]);

/** What goes on, and what waits. */
function text(maintenance: MaintenanceDto): string {
  const { of, name, inMaintenance, by, why, since, goingOn, reading, waits, waiting, dryRun } = maintenance;
  const state = !inMaintenance
    ? 'is not in maintenance'
    : since === null
      ? 'is in maintenance, by its state'
      : `is in maintenance since ${since}`;
  return [
    oneLine(`${of} ${name} ${state}${by === null ? '' : `, says ${by}: ${why ?? ''}`}`),
    ...(dryRun ? ['nothing was changed; so it would be:'] : []),
    goingOn.length === 0 ? 'no run goes on there' : `runs that go on there: ${goingOn.length}`,
    ...(goingOn.length === 0 ? [] : [runs(goingOn)]),
    ...(reading === null || reading === 0 ? [] : [`backups whose files are read there: ${reading}`]),
    ...(waits === 0 ? [] : [`runs that wait for it: ${waits}`, runs(waiting)]),
  ].join('\n');
}

/** `chainkeeper host maintenance` and `chainkeeper repo maintenance`. */
export function maintenanceCommand(path: '/hosts' | '/repositories', what: 'host' | 'repository'): Command {
  const at = (id: string, dryRun = false): string =>
    `${path}/${encodeURIComponent(id)}/maintenance${dryRun ? '?dryRun=true' : ''}`;
  const parent = new Command('maintenance').description(`no run begins on a ${what} until it is over: begin, end, show`);
  parent.addCommand(
    command('begin', 'begin it, or say it anew; tells which runs still go on, and which wait')
      .argument(`<${what}>`, 'id or name')
      .requiredOption('--why <text>', 'for those who wonder later')
      .option('--by <name>', 'who says so (default: the user of this shell)')
      .addOption(new Option('--running <wish>', 'what becomes of runs that go on (default: finish)').choices([...RUNNING_WISHES]))
      .option('--dry-run', 'only say which runs would go on, stop or wait')
      .action(
        action(async (id: string, { json, why, by, running, dryRun }: BeginOptions) => {
          const body = { why, by: by ?? asker(), ...(running === undefined ? {} : { running }) };
          const { body: begun } = await client().send<MaintenanceDto>('PUT', at(id, dryRun), body);
          show(json, begun, () => text(begun));
        }),
      ),
  );
  parent.addCommand(
    command('end', 'end it: what waits begins')
      .argument(`<${what}>`, 'id or name')
      .option('--dry-run', 'only say what waits')
      .action(
        action(async (id: string, { json, dryRun }: CommonOptions & { dryRun?: boolean }) => {
          const { body } = await client().send<MaintenanceDto>('DELETE', at(id, dryRun));
          show(json, body, () => text(body));
        }),
      ),
  );
  parent.addCommand(
    command('show', 'show whether it goes on, which runs do, and which wait')
      .argument(`<${what}>`, 'id or name')
      .action(
        action(async (id: string, { json }: CommonOptions) => {
          const shown = await client().get<MaintenanceDto>(at(id));
          show(json, shown, () => text(shown));
        }),
      ),
  );
  return parent;
}
