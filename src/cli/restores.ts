import { randomUUID } from 'node:crypto';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DISK_FORMATS } from '../domain/restore/restore-plan';
import type { RestoreDto, RestorePlanDto } from '../restores/dto/restore.dto';
import type { RunDto } from '../runs/dto/run.dto';
import { asker } from './asker';
import { EXIT } from './exit-code';
import { exitOf, follow } from './follow';
import { bytes, oneLine, show, table } from './output';
import { action, client, command, type CommonOptions } from './program';
import { runText } from './runs';

interface RestoreOptions extends CommonOptions {
  readonly inPlace?: boolean;
  readonly to?: readonly string[];
  readonly disk?: readonly string[];
  readonly file?: readonly string[];
  readonly newName?: string;
  readonly networks?: boolean;
  readonly attach?: string;
  readonly host?: string;
  readonly format?: string;
  readonly overwrite?: boolean;
  readonly bandwidth?: number;
  readonly acceptUnproven?: boolean;
  readonly salvage?: boolean;
  readonly why?: string;
  readonly by?: string;
  readonly wait?: boolean;
  readonly dryRun?: boolean;
  readonly idempotencyKey?: string;
}

const NAMED = /^([a-z][a-z0-9]*)=(.*)$/s;

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

/** `vda=...`, or a directory for all that are not named; there is one of these. */
function collectPlace(value: string, before: readonly string[] = []): string[] {
  if (!NAMED.test(value) && before.some((other) => !NAMED.test(other)))
    throw new InvalidArgumentError('There is one directory; name the path of a single disk as vda=/path.');
  return [...before, value];
}

function collectNamed(value: string, before: readonly string[] = []): string[] {
  if (!NAMED.test(value)) throw new InvalidArgumentError('It is named by disk: vda=root.0f5e7d3c.qcow2');
  return [...before, value];
}

function wholeNumber(value: string): number {
  if (!/^[1-9]\d{0,6}$/.test(value)) throw new InvalidArgumentError('It is a whole number from 1 on.');
  return Number(value);
}

const named = (values: readonly string[] = []): { target: string; value: string }[] =>
  values.flatMap((value) => {
    const [, target, rest] = NAMED.exec(value) ?? [];
    return target === undefined || rest === undefined ? [] : [{ target, value: rest }];
  });

/** What the API is asked for. */
function bodyOf(backup: string, options: RestoreOptions): object {
  const { inPlace, to, disk, file, newName, networks, attach, host, format, overwrite, bandwidth } = options;
  const directory = to?.find((value) => !NAMED.test(value));
  const places = named(to).map(({ target, value }) => ({ target, path: value }));
  const files = named(file).map(({ target, value }) => ({ target, file: value }));
  const doubtful = options.salvage || options.acceptUnproven;
  return {
    backup,
    way: inPlace ? 'in-place' : newName === undefined ? 'new-disks' : 'new-domain',
    ...{ disks: disk, to: directory, newName, networks, attachTo: attach, host, format, overwrite, bandwidth },
    ...(places.length === 0 ? {} : { places }),
    ...(files.length === 0 ? {} : { files }),
    ...(doubtful
      ? { accept: { level: options.salvage ? 'broken' : 'unproven', by: options.by ?? asker(), why: options.why } }
      : {}),
  };
}

/** What the point is worth comes first. */
function planText(plan: RestorePlanDto): string {
  const { assurance, sentence, accepted, backup, vm, way, host, externalId, disks, bytes: all } = plan;
  return [
    `This point is ${assurance}. ${sentence}`,
    ...(accepted === null ? [] : [`taken for that by ${oneLine(accepted.by)}: ${oneLine(accepted.why)}`]),
    `backup ${backup} of ${vm}, ${way} on host ${host}, from ${externalId}`,
    table(disks, [
      { title: 'DISK', of: (row) => row.target },
      { title: 'ID', of: (row) => row.deviceId, right: true },
      { title: 'FILE', of: (row) => row.file },
      { title: 'TO', of: (row) => row.to },
      { title: 'FORMAT', of: (row) => row.format },
      { title: 'SIZE', of: (row) => bytes(row.virtualSize), right: true },
    ]),
    ...(plan.newName === null ? [] : [`then the new VM ${plan.newName}, its network links ${plan.networks ? 'up' : 'down'}`]),
    ...(plan.attachTo === null ? [] : [`then attached to ${plan.attachTo}`]),
    `${bytes(all)} to be read, written and compared`,
    ...plan.warnings.map((warning) => `warning: ${oneLine(warning)}`),
  ].join('\n');
}

const same = (identical: boolean | null): string =>
  identical === null ? 'not compared' : identical ? 'identical with its chain' : 'DIFFERS from its chain';

function restoreText({ run, plan, identical, vmTouched, result }: RestoreDto): string {
  return [
    ...(plan === null ? [] : [planText(plan)]),
    runText(run),
    ...(result?.disks ?? []).map((disk) => {
      const hashed = disk.links === null ? '' : `, ${disk.hashed ?? 0} of ${disk.links} files hashed`;
      const lost = disk.unread ? `, ${bytes(disk.unread)} of it could not be read` : '';
      return `${disk.target}: ${same(disk.identical)}${lost}, ${disk.to}${disk.swapped ? ', in place' : ''}${hashed}`;
    }),
    ...(result?.domain ? [`VM ${result.domain.name} (${result.domain.uuid}) is there, and does not run`] : []),
    ...(result?.attached ? [`attached to ${result.attached.vm} as ${result.attached.target}`] : []),
    ...(run.ended === null ? [] : [`all disks: ${same(identical)}`]),
    ...(vmTouched === null ? [] : [`the volumes of the VM are others since ${vmTouched}: its next backup is a full or a rescue`]),
  ].join('\n');
}

/** `chainkeeper restore BACKUP`. */
export const restoreCommand = (): Command =>
  command('restore', 'bring a restore point back; every disk is compared with its chain before it gets its place')
    .argument('<backup>', 'id')
    .option('--in-place', 'over the volumes of the VM, which is stopped; all are swapped, or none')
    .option(
      '--to <place>',
      'directory of the host for new files, or the path of one disk (vda=/path), in place the volume that it goes over; again for more',
      collectPlace,
    )
    .option('--disk <target>', 'only this disk, for example vda; again for more', collect)
    .option('--new-name <name>', 'make a new VM of the new disks; it does not run')
    .option('--networks', 'the network links of the new VM are up')
    .option('--attach <vm>', 'attach the one new disk to this VM (libvirt’s name)')
    .option('--host <host>', 'id or name of the host that does it (default: the VM’s, or for new disks any that can)')
    .addOption(
      new Option(
        '--format <format>',
        'of new files (default: qcow2, and raw on a block device), or of a volume of which nobody knows it',
      ).choices(DISK_FORMATS),
    )
    .option('--overwrite', 'block devices that are named may be written over')
    .option('--bandwidth <mib>', 'MiB a second at most', wholeNumber)
    .option('--accept-unproven', 'take a point that too little supports; needs --why')
    .option('--salvage', 'take also what a witness contradicts; needs --why')
    .option('--why <text>', 'why a doubtful point is taken; kept with the restore')
    .option('--by <name>', 'who takes it (default: the user of this shell)')
    .option('--file <name>', 'file of a disk that the books do not know (vda=root.….qcow2); again for more', collectNamed)
    .option('--wait', 'wait until it is done; the exit code says how it ended')
    .option('--dry-run', 'only say what the point is worth, and what would go where')
    .option('--idempotency-key <key>', 'the same key again answers with the same run (default: a new one)')
    .action(
      action(async (id: string, options: RestoreOptions) => {
        const service = client();
        const body = bodyOf(id, options);
        if (options.dryRun || !options.json) {
          const { body: plan } = await service.send<RestorePlanDto>('POST', '/restores?dryRun=true', body);
          show(options.json, plan, () => planText(plan));
          if (options.dryRun) return EXIT.done;
        }
        const { body: queued } = await service.send<RunDto>('POST', '/restores', body, {
          'idempotency-key': options.idempotencyKey ?? randomUUID(),
          'x-chainkeeper-trigger': 'cli',
        });
        const about = `"chainkeeper restores ${queued.id}" tells how it goes`;
        if (!options.wait) {
          show(options.json, queued, () => `run ${queued.id} is ${queued.state}; ${about}`);
          return EXIT.done;
        }
        const run = await follow(service, `/runs/${queued.id}`, options.json ?? false);
        const restore = await service.get<RestoreDto>(`/restores/${queued.id}`);
        show(options.json, restore, () => restoreText({ ...restore, plan: null }));
        return exitOf(run);
      }),
    );

/** `chainkeeper restores [ID]`. */
export const restoresCommand = (): Command =>
  command('restores', 'list restores, newest first, or show one: its plan, who took it for what it was worth, the comparison')
    .argument('[restore]', 'id')
    .option('--vm <vm>', 'only of this VM (id or name)')
    .option('--backup <backup>', 'only of this backup (id)')
    .action(
      action(async (id: string | undefined, options: CommonOptions & { vm?: string; backup?: string }) => {
        if (id !== undefined) {
          const restore = await client().get<RestoreDto>(`/restores/${encodeURIComponent(id)}`);
          show(options.json, restore, () => restoreText(restore));
          return;
        }
        const { vm, backup } = options;
        const query = new URLSearchParams({ ...(vm === undefined ? {} : { vm }), ...(backup === undefined ? {} : { backup }) });
        const items = await client().all<RestoreDto>(`/restores?${query.toString()}`);
        show(options.json, items, () =>
          table(items, [
            { title: 'CREATED', of: (row) => row.run.created },
            { title: 'VM', of: (row) => row.run.vm },
            { title: 'WAY', of: (row) => row.way },
            { title: 'STATE', of: (row) => row.run.state },
            { title: 'ASSURANCE', of: (row) => row.assurance },
            { title: 'IDENTICAL', of: (row) => row.identical },
            { title: 'ERROR', of: (row) => row.run.errorCode },
            { title: 'BACKUP', of: (row) => row.backup },
            { title: 'ID', of: (row) => row.id },
          ]),
        );
      }),
    );
