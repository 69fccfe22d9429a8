import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { MISSED_POLICIES } from '../domain/schedule/judge-missed';
import type { PreviewDto } from '../schedules/dto/preview.dto';
import type { ScheduleDto } from '../schedules/dto/schedule.dto';
import type { StartRulesDto } from '../schedules/dto/start-rules.dto';
import { INTERVALS } from '../schedules/intervals';
import { bytes, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';

const number = (text: string): number => {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Not a whole number.');
  return Number(text);
};
const collect = (text: string, before: string[] = []): string[] => [...before, text];
const at = (id: string, what = ''): string => `/schedules/${encodeURIComponent(id)}${what}`;
/** What is to be sent: the options, without the one that is about printing. */
const wishes = ({ json: _json, ...said }: CommonOptions): object => said;

const withWishes = (of: Command): Command =>
  of
    .addOption(new Option('--every <interval>', 'how often, in CloudStack’s words, together with --at').choices(INTERVALS))
    .option('--at <time>', 'when: MM of an hourly one, MM:HH of a daily, MM:HH:D of a weekly (1 is Sunday) or monthly one')
    .option('--cron <pattern>', 'five parts, such as "30 2 * * mon-fri", in place of --every and --at')
    .option('--timezone <zone>', 'time zone of its times, such as Europe/Rome (default: UTC)')
    .option('--max-backups <n>', 'how many of its backups are kept (with --every); 0: no limit', number)
    .option('--quiesce', 'freeze the guest’s file systems at the moment of the backup')
    .option('--no-quiesce', 'do not (default)')
    .option('--jitter-seconds <n>', 'spread its VMs over so many seconds, each always at its place', number)
    .addOption(
      new Option('--missed <policy>', 'what becomes of a backup that is later than its grace (default: run-once)').choices(
        MISSED_POLICIES,
      ),
    )
    .option('--grace-seconds <n>', 'how late a backup may be without being missed (default: 3600)', number);

function text(schedule: ScheduleDto): string {
  const { id, vm, offering, every, at: when, cron, timezone, next, paused, pausedWhy, warnings } = schedule;
  return [
    `schedule ${id} of ${vm === null ? `offering ${offering ?? '-'}` : `VM ${vm}`}: ${every === null ? `cron ${cron ?? '-'}` : `${every} at ${when ?? '-'}`} (${timezone})`,
    paused === null ? `next: ${next ?? 'never'}` : `paused since ${paused}${pausedWhy === null ? '' : `: ${pausedWhy}`}`,
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n');
}

const shown = (schedule: ScheduleDto, json: boolean | undefined): void => show(json, schedule, () => text(schedule));

const addCommand = (): Command =>
  withWishes(
    command('add', 'add one, of a VM or of all VMs of an offering')
      .option('--vm <vm>', 'id or name')
      .option('--offering <offering>', 'id or name; with --cron'),
  ).action(
    action(async (options: CommonOptions) => {
      shown((await client().send<ScheduleDto>('POST', '/schedules', wishes(options))).body, options.json);
    }),
  );

const changeCommand = (): Command =>
  withWishes(command('change', 'change one, from now on; a run that it has made goes on').argument('<schedule>', 'id')).action(
    action(async (id: string, options: CommonOptions) => {
      shown((await client().send<ScheduleDto>('PATCH', at(id), wishes(options))).body, options.json);
    }),
  );

interface Of {
  readonly vm?: string;
  readonly offering?: string;
}
const query = (said: Record<string, string | number | undefined>): string =>
  new URLSearchParams(
    Object.entries(said).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, String(value)]])),
  ).toString();

const listCommand = (): Command =>
  command('list', 'list schedules, newest first')
    .option('--vm <vm>', 'only its own (id or name)')
    .option('--offering <offering>', 'only those of this offering (id or name)')
    .action(
      action(async ({ json, vm, offering }: CommonOptions & Of) => {
        const items = await client().all<ScheduleDto>(`/schedules?${query({ vm, offering })}`);
        show(json, items, () =>
          table(items, [
            { title: 'VM', of: (row) => row.vm },
            { title: 'OFFERING', of: (row) => row.offering },
            { title: 'EVERY', of: (row) => row.every },
            { title: 'AT', of: (row) => row.at ?? row.cron },
            { title: 'ZONE', of: (row) => row.timezone },
            { title: 'NEXT', of: (row) => (row.paused === null ? row.next : 'paused') },
            { title: 'ID', of: (row) => row.id },
          ]),
        );
      }),
    );

function previewText({ runs, load }: PreviewDto): string {
  return [
    table(runs, [
      { title: 'STARTS', of: (row) => row.startsAt },
      { title: 'VM', of: (row) => row.vm },
      { title: 'HOST', of: (row) => row.host },
      { title: 'DUE', of: (row) => row.scheduledFor },
      { title: 'WAITS BECAUSE', of: (row) => row.because },
    ]),
    '',
    table(load, [
      { title: 'HOUR', of: (row) => row.hour },
      { title: 'HOST', of: (row) => row.host },
      { title: 'STARTS', of: (row) => row.starts, right: true },
      { title: 'UNKNOWN', of: (row) => row.unknown, right: true },
      { title: 'AT A TIME', of: (row) => (row.seconds / 3600).toFixed(2), right: true },
      { title: 'BYTES', of: (row) => bytes(row.bytes), right: true },
    ]),
  ].join('\n');
}

const previewCommand = (): Command =>
  command('preview', 'say which backups come next, of a VM, an offering or all, and what they come to by hour and host')
    .option('--vm <vm>', 'id or name')
    .option('--offering <offering>', 'id or name')
    .option('--count <n>', 'how many (default: 20)', number)
    .option('--svg', 'draw the load as SVG instead')
    .action(
      action(async ({ json, vm, offering, count, svg }: CommonOptions & Of & { count?: number; svg?: boolean }) => {
        const asked = query({ vm, offering, count });
        if (svg) {
          process.stdout.write(await client().get<string>(`/schedules/preview.svg?${asked}`));
          return;
        }
        const told = await client().get<PreviewDto>(`/schedules/preview?${asked}`);
        show(json, told, () => previewText(told));
      }),
    );

const one = (name: string, what: string, method: string, path: string): Command =>
  command(name, what)
    .argument('<schedule>', 'id')
    .action(
      action(async (id: string, options: CommonOptions) => {
        shown((await client().send<ScheduleDto>(method, at(id, path))).body, options.json);
      }),
    );

/** `chainkeeper schedule`. */
export function scheduleCommand(): Command {
  const schedule = new Command('schedule').description(
    'when VMs are backed up: add, change, list, show, preview, pause, resume, remove',
  );
  schedule.addCommand(addCommand());
  schedule.addCommand(changeCommand());
  schedule.addCommand(listCommand());
  schedule.addCommand(one('show', 'show one', 'GET', ''));
  schedule.addCommand(previewCommand());
  schedule.addCommand(
    command('pause', 'nothing comes of it until it is resumed')
      .argument('<schedule>', 'id')
      .option('--why <text>', 'for those who wonder later')
      .action(
        action(async (id: string, options: CommonOptions & { why?: string }) => {
          shown((await client().send<ScheduleDto>('POST', at(id, '/pause'), wishes(options))).body, options.json);
        }),
      ),
  );
  schedule.addCommand(one('resume', 'let it go on, from now: nothing is made up for', 'POST', '/resume'));
  schedule.addCommand(
    command('remove', 'remove one; the runs that it has made stay')
      .argument('<schedule>', 'id')
      .action(
        action(async (id: string, options: CommonOptions) => {
          await client().send('DELETE', at(id));
          show(options.json, { removed: id }, () => `removed ${id}`);
        }),
      ),
  );
  return schedule;
}

interface RuleOptions extends CommonOptions {
  readonly window?: string[];
  readonly blackout?: string[];
  readonly zone?: string;
  readonly atEnd?: string;
  readonly anyTime?: boolean;
}

function rulesText({ windows, blackouts, zone, atEnd, changed }: StartRulesDto): string {
  if (changed === null) return 'scheduled backups start at any time';
  return [
    `scheduled backups start ${windows.length === 0 ? 'at any time' : windows.join(' and ')} (${zone})`,
    ...(blackouts.length === 0 ? [] : [`not on ${blackouts.join(', ')}`]),
    atEnd === 'stop' ? 'what goes on when the window closes is stopped' : 'what goes on when the window closes may finish',
  ].join('\n');
}

/** `chainkeeper start-rules`: without options it shows them. */
export function startRulesCommand(): Command {
  return command('start-rules', 'when the scheduled backups of an offering or on a host may start; without options shows it')
    .addArgument(new Argument('<whose>').choices(['offering', 'host']))
    .argument('<name>', 'id or name')
    .option('--window <window>', 'such as 22:00-06:00 or "sat,sun 00:00-24:00", once for each', collect)
    .option('--blackout <days>', 'days without backups, such as 2026-12-24 or 2026-12-24..2026-12-26, once for each', collect)
    .option('--zone <zone>', 'time zone of all of it (default: UTC)')
    .addOption(
      new Option('--at-end <what>', 'what becomes of a backup that goes on when its window closes').choices(['finish', 'stop']),
    )
    .option('--any-time', 'take back what was said')
    .action(
      action(async (whose: string, name: string, options: RuleOptions) => {
        const path = `/${whose}s/${encodeURIComponent(name)}/start-rules`;
        const { window: windows, blackout: blackouts, zone, atEnd, anyTime, json } = options;
        const said = Object.fromEntries(
          Object.entries({ windows, blackouts, zone, atEnd }).filter(([, value]) => value !== undefined),
        );
        const method = anyTime ? 'DELETE' : Object.keys(said).length > 0 ? 'PUT' : 'GET';
        const { body } = await client().send<StartRulesDto>(method, path, method === 'PUT' ? said : undefined);
        show(json, body, () => rulesText(body));
      }),
    );
}
