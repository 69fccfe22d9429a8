import { Command, InvalidArgumentError, Option } from 'commander';
import { DIALECTS } from '../domain/agent/facts';
import type { HostDto } from '../inventory/dto/host.dto';
import type { OfferingDto } from '../inventory/dto/offering.dto';
import type { RepositoryDto } from '../inventory/dto/repository.dto';
import type { VmDto } from '../inventory/dto/vm.dto';
import { bitmapsCommand, releaseCommand } from './bitmaps';
import { maintenanceCommand } from './maintenance';
import { bytes, type Column, oneLine, show, table } from './output';
import { readText } from './read-file';
import { resizedCommand, resizesCommand } from './resizes';
import { action, client, command, type CommonOptions } from './program';
import { forecastCommand } from './restart-forecast';
import { checkCommand, repositoryCheckCommand, sweepCommand } from './upkeep';
import { afterRecreationOption, bandwidthOption, onLostBitmapOption, transferOption, wholeNumber } from './way-options';

interface NewDisk {
  readonly target: string;
  readonly path: string;
}

interface Resource<T> {
  readonly name: string;
  readonly path: string;
  readonly what: string;
  readonly verbs?: string;
  readonly columns: readonly Column<T>[];
  /** One of them for people. */
  readonly text?: (item: T) => string;
}

const at = (path: string, idOrName: string): string => `${path}/${encodeURIComponent(idOrName)}`;

const fieldsOf = (item: object): { name: string; value: string }[] =>
  Object.entries(item).map(([name, value]) => ({
    name,
    value: value === null ? '-' : typeof value === 'object' ? JSON.stringify(value) : String(value),
  }));

const details = (item: object): string =>
  table(fieldsOf(item), [
    { title: 'FIELD', of: ({ name }) => name },
    { title: 'VALUE', of: ({ value }) => value },
  ]);

/** `list`, `show` and `remove`, the same for every resource. */
function resourceCommand<T extends object>({
  name,
  path,
  what,
  verbs = 'add, list, show, remove',
  columns,
  text = details,
}: Resource<T>): Command {
  const parent = new Command(name).description(`${what}: ${verbs}`);
  parent.addCommand(
    command('list', `list all ${what}`).action(
      action(async (options: CommonOptions) => {
        const items = await client().all<T>(path);
        show(options.json, items, () => table(items, columns));
      }),
    ),
  );
  parent.addCommand(
    command('show', `show one by id or name`)
      .argument('<id>', 'id or name')
      .action(
        action(async (id: string, options: CommonOptions) => {
          const item = await client().get<T>(at(path, id));
          show(options.json, item, () => text(item));
        }),
      ),
  );
  parent.addCommand(
    command('remove', 'remove one by id or name; refused while something depends on it')
      .argument('<id>', 'id or name')
      .action(
        action(async (id: string, options: CommonOptions) => {
          await client().send('DELETE', at(path, id));
          show(options.json, { removed: id }, () => `removed ${id}`);
        }),
      ),
  );
  return parent;
}

async function create<T extends object>(
  path: string,
  body: object,
  options: CommonOptions,
  text: (item: T) => string = details,
): Promise<void> {
  const { body: item } = await client().send<T>('POST', path, body);
  show(options.json, item, () => text(item));
}

/** `vda=/path/of/the/image`. */
function disk(text: string, before: readonly NewDisk[] = []): NewDisk[] {
  const [, target, path] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (target !== undefined && path !== undefined) return [...before, { target, path }];
  throw new InvalidArgumentError('It looks like this: vda=/var/lib/libvirt/images/disk.qcow2');
}

/** The options that say how a host is reached. */
const withAccess = (host: Command): Command =>
  host
    .option('--address <address>', 'address to connect to (default: the name)')
    .option('--port <port>', 'SSH port (default: 22)', wholeNumber)
    .option('--user <user>', 'unprivileged SSH user (default: chainkeeper)')
    .option('--private-key-file <file>', 'private key on the orchestrator (default: CHAINKEEPER_SSH_KEY)')
    .option('--fingerprint <sha256>', 'pin this host key, SHA256:... (default: the known_hosts file decides)')
    .option('--script-path <path>', 'path of our host script')
    .addOption(new Option('--script <kind>', 'who takes the backups (default: ours)').choices(['ours', 'stock']))
    .option('--stock-path <path>', 'path of the stock script (default: where CloudStack puts it)')
    .option('--beside', 'our script lies beside the stock one, to look and to verify')
    .option('--no-beside', 'nothing of ours is there')
    .addOption(new Option('--dialect <dialect>', 'what the script speaks (default: seed)').choices([...DIALECTS]));

/** `chainkeeper host`. */
export function hostCommand(): Command {
  const host = resourceCommand<HostDto>({
    name: 'host',
    path: '/hosts',
    what: 'hosts',
    verbs: 'add, change, install, check, forecast, sweep, maintenance, list, show, remove',
    columns: [
      { title: 'NAME', of: (row) => row.name },
      { title: 'ADDRESS', of: (row) => `${row.address}:${row.port}` },
      { title: 'USER', of: (row) => row.user },
      { title: 'DIALECT', of: (row) => (row.script === 'ours' ? row.dialect : `${row.dialect} (stock)`) },
      { title: 'SCRIPT', of: (row) => row.scriptVersion },
      { title: 'STATE', of: (row) => (row.maintenance === null ? row.resourceState : 'Maintenance') },
      { title: 'ID', of: (row) => row.id },
    ],
  });
  host.addCommand(
    withAccess(command('add', 'add a host').argument('<name>')).action(
      action(async (name: string, { json, ...options }: CommonOptions & Record<string, unknown>) =>
        create<HostDto>('/hosts', { name, ...options }, { json: json ?? false }),
      ),
    ),
  );
  host.addCommand(
    withAccess(command('change', 'change how a host is reached, or accept its new key').argument('<host>', 'id or name'))
      .addOption(new Option('--state <state>', 'no new run starts in maintenance').choices(['Enabled', 'Maintenance']))
      .action(
        action(async (id: string, { json, state, ...access }: CommonOptions & Record<string, unknown>) => {
          const { body } = await client().send<HostDto>('PATCH', at('/hosts', id), {
            ...access,
            ...(state === undefined ? {} : { resourceState: state }),
          });
          show(json, body, () => details(body));
        }),
      ),
  );
  host.addCommand(
    command('install', 'put the host script on a host, or say what would be done')
      .argument('<host>', 'id or name')
      .option('--as <user>', 'SSH user with the right to install (default: the host’s user)')
      .option('--dry-run', 'change nothing')
      .action(
        action(async (id: string, options: CommonOptions & { as?: string; dryRun?: boolean }) => {
          const { body } = await client().send<{ sudoersLine: string } & object>(
            'POST',
            `${at('/hosts', id)}/install?dryRun=${options.dryRun ? 'true' : 'false'}`,
            options.as === undefined ? {} : { as: options.as },
          );
          show(options.json, body, () => details(body));
        }),
      ),
  );
  host.addCommand(checkCommand());
  host.addCommand(forecastCommand());
  host.addCommand(sweepCommand());
  host.addCommand(maintenanceCommand('/hosts', 'host'));
  return host;
}

type RepositoryOptions = CommonOptions & { mountOptionsFile?: string; transfer?: string | false; bandwidth?: number | false };

const mountOptionsFile = (): Option =>
  new Option('--mount-options-file <file>', 'file with the mount options, because they may hold credentials');

function repositoryWishes({ mountOptionsFile: file, transfer, bandwidth }: RepositoryOptions): object {
  const mountOptions = file && readText(file, '--mount-options-file').trim();
  return {
    ...(mountOptions ? { mountOptions } : {}),
    ...(transfer === undefined ? {} : { transfer: transfer === false ? null : transfer }),
    ...(bandwidth === undefined ? {} : { bandwidth: bandwidth === false ? null : bandwidth }),
  };
}

/** Its fields, and what there is to say of its mount options. */
const repositoryText = ({ mountAdvice, ...item }: RepositoryDto): string =>
  [details(item), ...mountAdvice.map(({ option, severity, why }) => oneLine(`${severity.padEnd(7)}  ${option}: ${why}`))].join(
    '\n',
  );

/** `chainkeeper repo`. */
export function repositoryCommand(): Command {
  const repository = resourceCommand<RepositoryDto>({
    name: 'repo',
    path: '/repositories',
    what: 'repositories',
    verbs: 'add, change, check, maintenance, list, show, remove',
    columns: [
      { title: 'NAME', of: (row) => row.name },
      { title: 'TYPE', of: (row) => row.type },
      { title: 'ADDRESS', of: (row) => row.address },
      { title: 'TRANSFER', of: (row) => row.transfer },
      { title: 'MIB/S', of: (row) => row.bandwidth, right: true },
      { title: 'USED', of: (row) => bytes(row.usedBytes), right: true },
      { title: 'OF', of: (row) => bytes(row.capacityBytes), right: true },
      { title: 'FULL ON', of: (row) => row.fullOn?.slice(0, 10) },
      { title: 'MAINTENANCE', of: (row) => row.maintenance?.since },
      { title: 'ID', of: (row) => row.id },
    ],
    text: repositoryText,
  }).alias('repository');
  repository.addCommand(
    command('add', 'add a NAS export')
      .argument('<name>')
      .requiredOption('--type <type>', 'nfs, cifs, ceph or dir')
      .requiredOption('--address <address>', 'as mount understands it; for dir an absolute path on the host')
      .addOption(mountOptionsFile())
      .addOption(transferOption())
      .addOption(bandwidthOption())
      .action(
        action(async (name: string, options: RepositoryOptions & { type: string; address: string }) =>
          create<RepositoryDto>(
            '/repositories',
            { name, type: options.type, address: options.address, ...repositoryWishes(options) },
            options,
            repositoryText,
          ),
        ),
      ),
  );
  repository.addCommand(
    command('change', 'change how a NAS export is mounted, and the way that backups take to it')
      .argument('<repository>', 'id or name')
      .option('--name <name>', 'new name')
      .addOption(mountOptionsFile())
      .addOption(transferOption())
      .option('--no-transfer', 'take back what was said of the way')
      .addOption(bandwidthOption())
      .option('--no-bandwidth', 'take back the limit')
      .action(
        action(async (id: string, options: RepositoryOptions & { name?: string }) => {
          const name = options.name === undefined ? {} : { name: options.name };
          const change = { ...name, ...repositoryWishes(options) };
          const { body } = await client().send<RepositoryDto>('PATCH', at('/repositories', id), change);
          show(options.json, body, () => repositoryText(body));
        }),
      ),
  );
  repository.addCommand(repositoryCheckCommand());
  repository.addCommand(maintenanceCommand('/repositories', 'repository'));
  return repository;
}

interface OfferingOptions extends CommonOptions {
  readonly name?: string;
  readonly repository?: string;
  readonly fullEvery?: number;
  readonly incremental?: boolean;
  readonly transfer?: string | false;
  readonly bandwidth?: number | false;
  readonly onLostBitmap?: string;
  readonly afterRecreation?: string;
}

/** What was said of it; a way that is taken back is null. */
function offeringWishes({ incremental, json: _json, ...said }: OfferingOptions): object {
  return {
    // What is taken back is null.
    ...Object.fromEntries(Object.entries(said).map(([name, value]) => [name, value === false ? null : value])),
    ...(incremental === undefined ? {} : { incrementalEnabled: incremental }),
  };
}

const withPolicy = (offering: Command): Command =>
  offering
    .option('--full-every <n>', 'links in a chain before the next full', wholeNumber)
    .option('--incremental', 'take incrementals where they are true (default)')
    .option('--no-incremental', 'take fulls only')
    .addOption(transferOption())
    .addOption(bandwidthOption())
    .addOption(onLostBitmapOption())
    .addOption(afterRecreationOption())
    .option('--full-weekday <day>', 'the first backup from this day of the week on is a full (sun to sat)')
    .option('--full-every-days <n>', 'so is the first from so many days after the last full', wholeNumber)
    .option('--full-zone <zone>', 'time zone of those days (default: UTC)');

/** `chainkeeper offering`. */
export function offeringCommand(): Command {
  const offering = resourceCommand<OfferingDto>({
    name: 'offering',
    path: '/offerings',
    what: 'offerings',
    verbs: 'add, change, list, show, remove',
    columns: [
      { title: 'NAME', of: (row) => row.name },
      { title: 'FULL EVERY', of: (row) => row.fullEvery, right: true },
      { title: 'INCREMENTAL', of: (row) => row.incrementalEnabled },
      { title: 'TRANSFER', of: (row) => row.transfer },
      { title: 'MIB/S', of: (row) => row.bandwidth, right: true },
      { title: 'ON LOST BITMAP', of: (row) => row.onLostBitmap },
      { title: 'REPOSITORY', of: (row) => row.repository },
      { title: 'ID', of: (row) => row.id },
    ],
  });
  offering.addCommand(
    withPolicy(
      command('add', 'add an offering: where backups go, and how')
        .argument('<name>')
        .requiredOption('--repository <repository>', 'id or name'),
    ).action(
      action(async (name: string, options: OfferingOptions) =>
        create<OfferingDto>('/offerings', { name, ...offeringWishes(options) }, options),
      ),
    ),
  );
  offering.addCommand(
    withPolicy(
      command(
        'change',
        'change how backups are taken, or move it: the next backup of each of its VMs is then a full in the other repository',
      )
        .argument('<offering>', 'id or name')
        .option('--name <name>', 'new name')
        .option('--repository <repository>', 'id or name of the repository that backups go to from now on'),
    )
      .option('--no-transfer', 'take back what was said of the way')
      .option('--no-bandwidth', 'take back the limit')
      .option('--no-full-weekday', 'take back what was said of a day of the week')
      .option('--no-full-every-days', 'take back what was said of days')
      .action(
        action(async (id: string, options: OfferingOptions) => {
          const { body } = await client().send<OfferingDto>('PATCH', at('/offerings', id), offeringWishes(options));
          show(options.json, body, () => details(body));
        }),
      ),
  );
  return offering;
}

/** `chainkeeper vm`. */
export function vmCommand(): Command {
  const vm = resourceCommand<VmDto>({
    name: 'vm',
    path: '/vms',
    what: 'VMs',
    verbs: 'add, assign, unassign, bitmaps, release, resized, resizes, list, show, remove',
    columns: [
      { title: 'NAME', of: (row) => row.name },
      { title: 'DISKS', of: (row) => row.disks.map(({ target }) => target).join(',') },
      { title: 'OFFERING', of: (row) => row.offering },
      { title: 'NEXT GOES BY', of: (row) => row.activeCheckpoint },
      { title: 'HOST', of: (row) => row.host },
      { title: 'ID', of: (row) => row.id },
    ],
  });
  vm.addCommand(
    command('add', 'add a VM by its libvirt name')
      .argument('<name>')
      .requiredOption('--host <host>', 'id or name of the host it runs on')
      .option('--offering <offering>', 'id or name of the offering it gets')
      .option('--disk <target=path>', 'one of its disks, first disk first, once for each; only needed while it is stopped', disk)
      .action(
        action(async (name: string, options: CommonOptions & { host: string; offering?: string; disk?: NewDisk[] }) => {
          const { body: added } = await client().send<VmDto>('POST', '/vms', {
            name,
            host: options.host,
            ...(options.disk ? { disks: options.disk } : {}),
          });
          const item = options.offering
            ? (await client().send<VmDto>('PUT', `/vms/${added.id}/offering`, { offering: options.offering })).body
            : added;
          show(options.json, item, () => details(item));
        }),
      ),
  );
  vm.addCommand(
    command('assign', 'give a VM an offering; its next backup is a full')
      .argument('<vm>', 'id or name')
      .argument('<offering>', 'id or name')
      .action(
        action(async (id: string, offering: string, options: CommonOptions) => {
          const { body } = await client().send<VmDto>('PUT', `${at('/vms', id)}/offering`, { offering });
          show(options.json, body, () => details(body));
        }),
      ),
  );
  vm.addCommand(
    command('unassign', 'take the offering from a VM; its backups stay')
      .argument('<vm>', 'id or name')
      .action(
        action(async (id: string, options: CommonOptions) => {
          const { body } = await client().send<VmDto>('DELETE', `${at('/vms', id)}/offering`);
          show(options.json, body, () => details(body));
        }),
      ),
  );
  vm.addCommand(bitmapsCommand());
  vm.addCommand(releaseCommand());
  vm.addCommand(resizedCommand());
  vm.addCommand(resizesCommand());
  return vm;
}
