import { Command, Option } from 'commander';
import type { RetentionPolicyDto, RetentionRulesDto } from '../retention/dto/policy.dto';
import type { RetentionPlanDto } from '../retention/dto/retention.dto';
import type { SimulatedDayDto, SimulationDto } from '../retention/dto/simulation.dto';
import type { RunDto } from '../runs/dto/run.dto';
import { UserError } from '../domain/errors';
import { EXIT } from './exit-code';
import { exitOf, follow } from './follow';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';
import { runText } from './runs';

/** Options and what the API calls them. */
const RULES = {
  keepLast: 'the newest',
  keepHourly: 'one an hour',
  keepDaily: 'one a day',
  keepWeekly: 'one a week',
  keepMonthly: 'one a month',
  keepYearly: 'one a year',
} as const;

type Wishes = Partial<Record<keyof RetentionRulesDto, string | boolean>>;
type Options = CommonOptions & Wishes;

const dashed = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const ofVm = (vm: string): string => `/vms/${encodeURIComponent(vm)}/retention`;

function withRules(of: Command): Command {
  for (const [name, what] of Object.entries(RULES)) of.option(`--${dashed(name)} <n>`, `keep ${what}, so many`);
  return of
    .option('--min-age-hours <n>', 'what is younger stays')
    .option('--zone <name>', 'time zone of days and weeks (default: UTC)')
    .option('--manual', 'backups that somebody asked for count as well')
    .option('--no-manual', 'they take nobody’s place and stay (default)');
}

/** The rules that were given, as text: the service reads and judges them. */
const given = (options: Options): [string, string][] =>
  [...Object.keys(RULES), 'minAgeHours', 'zone', 'manual'].flatMap((name): [string, string][] => {
    const value = options[name as keyof Wishes];
    return value === undefined ? [] : [[name, String(value)]];
  });

/** The same as a body: what is a number is one. */
const body = (options: Options): object =>
  Object.fromEntries(given(options).map(([name, value]) => [name, /^\d+$/.test(value) ? Number(value) : value]));

function planText({ planId, lines, bytesFreed, pointsLeft, steps }: RetentionPlanDto): string {
  return [
    table(lines, [
      { title: 'DATE', of: (row) => row.date },
      { title: 'TYPE', of: (row) => row.type },
      { title: 'SIZE', of: (row) => bytes(row.size), right: true },
      { title: 'ASSURANCE', of: (row) => row.assurance },
      { title: 'FATE', of: (row) => row.fate },
      { title: 'WHY', of: (row) => row.why },
      { title: 'ID', of: (row) => row.backup },
    ]),
    `${bytes(bytesFreed)} would be freed, restore points left: ${pointsLeft}`,
    steps.length === 0 ? 'nothing to do' : `plan ${planId}`,
  ].join('\n');
}

const planCommand = (): Command =>
  withRules(
    command(
      'plan',
      'say what goes today, and why each other point stays; without rules by those of the VM. Changes nothing',
    ).argument('<vm>', 'id or name'),
  ).action(
    action(async (vm: string, options: Options) => {
      const told = await client().get<RetentionPlanDto>(`${ofVm(vm)}?${new URLSearchParams(given(options)).toString()}`);
      show(options.json, told, () => planText(told));
    }),
  );

/** Rows that a terminal has room for; more days than that are shown in weeks. */
const DAYS_SHOWN = 31;
const DAY = 86_400;

/** Days put together, so many to a row: as the last of them ends, and what they wrote and freed. */
export function inSpans(days: readonly SimulatedDayDto[], size: number): SimulatedDayDto[] {
  const [today, ...ahead] = days;
  const spans: SimulatedDayDto[][] = today === undefined ? [] : [[today]];
  for (let from = 0; from < ahead.length; from += size) spans.push(ahead.slice(from, from + size));
  return spans.flatMap((span) => {
    const last = span.at(-1);
    if (last === undefined) return [];
    const sum = (of: 'fulls' | 'incrementals' | 'bytesWritten' | 'removed' | 'bytesFreed'): number =>
      span.reduce((so, day) => so + day[of], 0);
    return [
      {
        ...last,
        ...{ fulls: sum('fulls'), incrementals: sum('incrementals'), bytesWritten: sum('bytesWritten') },
        ...{ removed: sum('removed'), bytesFreed: sum('bytesFreed') },
      },
    ];
  });
}

const gap = (seconds: number | null): string => (seconds === null ? '-' : `${(seconds / DAY).toFixed(1)} d`);

function simulationText({ days, everyHours, fullBytes, incrementalBytes, ...of }: SimulationDto): string {
  return [
    table(inSpans(days, days.length - 1 > DAYS_SHOWN ? 7 : 1), [
      { title: 'UNTIL', of: (row) => row.date.slice(0, 10) },
      { title: 'POINTS', of: (row) => row.points, right: true },
      { title: 'BYTES', of: (row) => bytes(row.bytes), right: true },
      { title: 'FULLS', of: (row) => row.fulls, right: true },
      { title: 'INCREMENTALS', of: (row) => row.incrementals, right: true },
      { title: 'WRITTEN', of: (row) => bytes(row.bytesWritten), right: true },
      { title: 'FREED', of: (row) => bytes(row.bytesFreed), right: true },
      { title: 'LONGEST GAP', of: (row) => gap(row.longestGap), right: true },
    ]),
    `a backup every ${everyHours.join(' and every ')} h; a full has ${bytes(fullBytes)}, an incremental ${bytes(incrementalBytes)}`,
    `at most ${bytes(of.mostBytes)} on the NAS and ${bytes(of.mostWritten)} written on a day; longest gap ${gap(of.longestGap)}`,
  ].join('\n');
}

const simulateCommand = (): Command =>
  withRules(
    command('simulate', 'say what the rules come to on the real chains if backups go on. Changes nothing')
      .argument('<vm>', 'id or name')
      .option('--days <n>', 'days to look ahead (default: 365)')
      .option('--every-hours <n>', 'hours from one backup to the next (default: as its schedules say, else 24)'),
  ).action(
    action(async (vm: string, options: Options & { days?: string; everyHours?: string }) => {
      const ahead = (['days', 'everyHours'] as const).flatMap((name): [string, string][] => {
        const value = options[name];
        return value === undefined ? [] : [[name, value]];
      });
      const query = new URLSearchParams([...given(options), ...ahead]).toString();
      const told = await client().get<SimulationDto>(`${ofVm(vm)}/simulation?${query}`);
      show(options.json, told, () => simulationText(told));
    }),
  );

const applyCommand = (): Command =>
  withRules(
    command('apply', 'carry out the plan that was shown; rules as they were given to "plan"')
      .argument('<vm>', 'id or name')
      .requiredOption('--plan <id>', 'its id; one that has changed since is refused')
      .option('--wait', 'wait until it is done; the exit code says how it ended'),
  ).action(
    action(async (vm: string, options: Options & { plan: string; wait?: boolean }) => {
      const service = client();
      const wish = { plan: options.plan, ...body(options) };
      const { body: queued } = await service.send<RunDto>('POST', ofVm(vm), wish, { 'x-chainkeeper-trigger': 'cli' });
      const run = options.wait ? await follow(service, `/runs/${queued.id}`, options.json ?? false) : queued;
      show(options.json, run, () => runText(run));
      return options.wait ? exitOf(run) : EXIT.done;
    }),
  );

type Owner = { readonly vm?: string; readonly offering?: string };

/** @throws UserError `cli.retention-owner` */
function policyOf({ vm, offering }: Owner): string {
  const [id, path] = vm === undefined ? [offering, 'offerings'] : [vm, 'vms'];
  if (id !== undefined && (vm === undefined || offering === undefined))
    return `/${path}/${encodeURIComponent(id)}/retention-policy`;
  throw new UserError('cli.retention-owner', 'invalid', 'For whom? Name one: --vm VM or --offering OFFERING.');
}

const withOwner = (of: Command): Command =>
  of
    .addOption(new Option('--vm <vm>', 'id or name of a VM; it comes before its offering'))
    .addOption(new Option('--offering <offering>', 'id or name of an offering: for all its VMs'));

function policyText({ holds, changed, ...said }: RetentionPolicyDto): string {
  const names = Object.keys(holds) as (keyof RetentionRulesDto)[];
  return [
    table(names, [
      { title: 'RULE', of: (name) => dashed(name) },
      { title: 'SAID HERE', of: (name) => said[name] },
      { title: 'HOLDS', of: (name) => holds[name] },
    ]),
    changed === null ? 'nothing was said here' : `said ${changed}`,
  ].join('\n');
}

const policyCommand = (name: string, method: 'GET' | 'PUT' | 'DELETE', what: string): Command =>
  withOwner(method === 'PUT' ? withRules(command(name, what)) : command(name, what)).action(
    action(async (options: Options & Owner) => {
      const wish = method === 'PUT' ? body(options) : undefined;
      const { body: policy } = await client().send<RetentionPolicyDto>(method, policyOf(options), wish);
      show(options.json, policy, () => policyText(policy));
    }),
  );

/** `chainkeeper retention`. */
export function retentionCommand(): Command {
  return new Command('retention')
    .description('which restore points are kept: set, show, clear, plan, simulate, apply')
    .addCommand(policyCommand('set', 'PUT', 'say by what restore points are kept, in place of all that was said before'))
    .addCommand(policyCommand('show', 'GET', 'show what was said, and what holds'))
    .addCommand(policyCommand('clear', 'DELETE', 'take back what was said'))
    .addCommand(planCommand())
    .addCommand(simulateCommand())
    .addCommand(applyCommand());
}
