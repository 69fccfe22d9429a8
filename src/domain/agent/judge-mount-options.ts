import type { TransferWish } from './facts';
import type { Severity } from './host-finding';
import { knowsOption, type RepositoryType } from './mount-option-names';
import { type MountOption, readMountOptions } from './mount-options';

/** What there is to say of one mount option. */
export interface MountAdvice {
  /** Name of the option, with its value only where that is what it is about. */
  readonly option: string;
  /** `error`: refused when it is given; `warning`: it hurts; `ok`: fine, and worth knowing why. */
  readonly severity: Severity;
  readonly why: string;
}

/** A repository's way of being mounted. */
export interface MountWish {
  readonly type: RepositoryType;
  readonly options: string;
  /** How the data travels there; null: nobody said, so it is `push`. */
  readonly transfer: TransferWish | null;
}

type Verdict = readonly [Severity, string];
type Rules = Readonly<Record<string, Verdict>>;

const error = (why: string): Verdict => ['error', why];
const warning = (why: string): Verdict => ['warning', why];
const fine = (why: string): Verdict => ['ok', why];

const table = (...rows: readonly (readonly [string, Verdict])[]): Rules =>
  Object.fromEntries(rows.flatMap(([names, verdict]) => names.split(' ').map((name) => [name, verdict])));

const PROPAGATION = error('QEMU lives in a mount namespace of its own, where the NAS would be missing or stay for ever.');
const FSTAB = warning('It means something in fstab alone; the host script mounts and unmounts by itself.');
const EXPORT = error('It belongs to the export on the server, not to the mount.');
const SLOW = warning('Every write waits until the NAS has it on disk: with push the guest waits as long.');
const OBSOLETE = warning('It is obsolete and does nothing.');
const HOST_CACHE = warning('What is read back may come from this host’s disk cache, so a check would not have seen the NAS.');

/** By `name=value` or by name; the first that fits says it. */
const EVERY = table(
  ['ro', error('Nothing could be written there.')],
  ['remount move rbind', error('It changes another mount instead of making one.')],
  ['private rprivate slave rslave unbindable runbindable', PROPAGATION],
  ['auto noauto user nouser users owner group nofail _netdev comment', FSTAB],
  ['sync dirsync', SLOW],
  ['mand', OBSOLETE],
  ['noexec nosuid nodev', fine('Nothing on a repository is executed.')],
);

const OWN: Readonly<Record<RepositoryType, Rules>> = {
  dir: {},
  nfs: table(
    ['bg', error('mount says that all is well while nothing is mounted, and the backup would fill the host’s own disk.')],
    ['bind', error('It mounts a directory of the host and not the NAS.')],
    ['udp proto=udp proto=udp6', error('On fast links NFS over UDP can corrupt data silently; use tcp.')],
    ['v2 vers=2 nfsvers=2', error('A file ends at 2 GiB.')],
    ['intr nointr', OBSOLETE],
    ['noac lookupcache=none', SLOW],
    ['fsc', HOST_CACHE],
    ['sloppy', warning('Words that mount does not know are passed over without a word: a misspelt option does nothing.')],
    ['sec=none', warning('Whoever is in the network can read and change the backups.')],
    ['nolock local_lock=all local_lock=posix', fine('QEMU’s image locks then hold within one host only; a backup is written by one host.')],
    ['root_squash no_root_squash all_squash no_all_squash subtree_check no_subtree_check anonuid anongid crossmnt insecure secure wdelay no_wdelay', EXPORT], // prettier-ignore
  ),
  cifs: table(
    ['bind', error('It mounts a directory of the host and not the NAS.')],
    ['brl forcemandatorylock forcemand', error('The server’s byte range locks fail QEMU’s own image locks; the host script always mounts with nobrl.')],
    ['nobrl nolock', fine('QEMU’s image locks need it; the host script adds it anyway.')],
    ['nostrictsync', error('An fsync then ends before the server has the data: a backup called good could be gone after a power cut.')],
    ['cache=loose', warning('The host trusts its cache although others may have written: after a move a VM’s chain could be read as it was.')],
    ['vers=1.0', warning('SMB1 is neither safe nor quick; vers=3.1.1.')],
    ['guest sec=none', warning('Whoever is in the network can read and change the backups.')],
    ['sync dirsync noac', SLOW],
    ['fsc', HOST_CACHE],
    ['intr nointr', OBSOLETE],
    ['sloppy', warning('Words that mount does not know are passed over without a word: a misspelt option does nothing.')],
  ),
  ceph: table(
    ['bind', error('It mounts a directory of the host and not the NAS.')],
    ['recover_session=clean', warning('After a break the client drops what it had not written yet and goes on.')],
    ['nocrc', warning('Data is no longer checked on its way.')],
    ['noquotadf', warning('The space of the whole cluster is told instead of the quota’s, so a backup can run into the quota unseen.')],
    ['fsc', HOST_CACHE],
  ),
}; // prettier-ignore

const OPPOSITES = [
  ...['ro rw', 'sync async', 'exec noexec', 'suid nosuid', 'dev nodev', 'atime noatime', 'relatime norelatime'],
  ...['hard soft', 'hard softerr', 'soft softerr', 'ac noac', 'lock nolock', 'cto nocto', 'bg fg', 'sharecache nosharecache'],
  ...['brl nobrl', 'perm noperm', 'serverino noserverino', 'unix nounix', 'hard nohard', 'soft nosoft'],
  ...['crc nocrc', 'wsync nowsync', 'quotadf noquotadf', 'fsc nofsc', 'acl noacl'],
].map((pair) => pair.split(' ') as [string, string]);

/** Other words for one thing. */
const SAME = new Map([
  ...['2', '3', '4', '4.0', '4.1', '4.2'].map((version) => [`v${version}`, `vers=${version}`] as const),
  ...['tcp', 'udp', 'rdma'].map((protocol) => [protocol, `proto=${protocol}`] as const),
]);
const SAME_KEY = new Map([
  ['nfsvers', 'vers'],
  ['mds_namespace', 'fs'],
  ['cred', 'credentials'],
]);

/** A tenth of a second is the unit of `timeo`. */
const SHORT_TIMEO = 100;

/** Judges the mount options of a repository: what can never work or does harm, what hurts, and what is fine although it looks odd. */
export function judgeMountOptions({ type, options, transfer }: MountWish): MountAdvice[] {
  const all = readMountOptions(options);
  return [
    ...all.flatMap((option) => judgeOne(type, transfer, option)),
    ...contradictions(type, all),
    ...judgeOutage(type, transfer, all),
  ];
}

function judgeOne(type: RepositoryType, transfer: TransferWish | null, option: MountOption): MountAdvice[] {
  const { name, value, part } = option;
  const say = (about: string, [severity, why]: Verdict): MountAdvice[] => [{ option: about, severity, why }];
  if (name === null)
    return say('(after a secret)', error('It is no option, so it may be the rest of a secret with a comma in it, which cannot be told from two options. Put the secret into a file on the hosts: credentials=FILE with cifs, secretfile=FILE with ceph.')); // prettier-ignore
  if (part !== null) {
    if (type === 'nfs' || type === 'dir') return say(name, error(`A repository of type ${type} takes no credentials.`));
    if (part === 'username' && /[%/\\]/.test(value ?? ''))
      return say(name, error('A password or domain does not belong into the user’s name: use password= and domain=.'));
    return [];
  }
  const whole = value === null ? name : `${name}=${value}`;
  for (const [about, rules] of [
    [whole, OWN[type]],
    [name, OWN[type]],
    [whole, EVERY],
    [name, EVERY],
  ] as const)
    // prettier-ignore
    if (Object.hasOwn(rules, about)) return say(about, rules[about] as Verdict);
  if (/^x-/i.test(name)) return say(name, FSTAB);
  if (transfer !== 'pull' && type === 'nfs' && name === 'sec' && /krb5/.test(value ?? ''))
    return say(
      name,
      warning('With push QEMU’s own user writes, and needs a Kerberos ticket of its own; with pull root’s is enough.'),
    );
  if (transfer !== 'pull' && type === 'cifs' && name === 'multiuser')
    return say(name, warning('With push QEMU’s own user writes, and has no credentials of its own.'));
  if (knowsOption(type, name)) return [];
  return say(name, warning(`Nobody here knows it for type ${type}: a word that mount does not know makes every backup fail.`));
}

/** Of what is said twice the last holds, and who reads it cannot know which was meant. */
function contradictions(type: RepositoryType, all: readonly MountOption[]): MountAdvice[] {
  const open = all.filter(({ part, name }) => part === null && name !== null);
  const names = new Set(open.flatMap(({ name, value }) => (value === null && name !== null ? [name] : [])));
  const both = OPPOSITES.filter(([one, other]) => names.has(one) && names.has(other)).map(
    ([one, other]) => `${one} and ${other}`,
  );
  const values = new Map<string, string>();
  const twice = new Set<string>();
  for (const { name, value, part, text } of all) {
    if (name === null) continue;
    const [key, is] = part === null ? keyAndValue(name, value, text) : [part, value ?? ''];
    if (is === null || /^x-/i.test(key)) continue;
    if ((values.get(key) ?? is) !== is) twice.add(key);
    values.set(key, is);
  }
  if (type === 'cifs' && values.has('credentials') && (values.has('username') || values.has('password')))
    twice.add('credentials');
  return [...both, ...twice].map((option) => ({
    option,
    severity: 'error',
    why: 'It is said in two ways that contradict each other: leave one.',
  }));
}

function keyAndValue(name: string, value: string | null, text: string): [string, string | null] {
  if (value !== null) return [SAME_KEY.get(name) ?? name, value];
  const [key = name, is] = (SAME.get(text) ?? text).split('=');
  return [key, is ?? null];
}

/** What a NAS that is away does to a backup, and to the guest. */
function judgeOutage(type: RepositoryType, transfer: TransferWish | null, all: readonly MountOption[]): MountAdvice[] {
  if (type === 'dir') return [];
  const names = all.map(({ name }) => name);
  const explicit = (...of: string[]): string | undefined => of.find((name) => names.includes(name));
  const soft = type === 'nfs' ? explicit('soft', 'softerr') : type === 'cifs' ? explicit('soft', 'nohard') : undefined;
  const hard = type === 'ceph' ? undefined : explicit('hard', 'nosoft');
  const isSoft = soft !== undefined || (type === 'cifs' && hard === undefined);
  const option = soft ?? hard ?? `${isSoft ? 'soft' : 'hard'} (the default)`;
  const timeo = Number(all.findLast(({ name }) => name === 'timeo')?.value ?? 600);
  const hasty: MountAdvice[] =
    type === 'nfs' && isSoft && timeo < SHORT_TIMEO
      ? [{ option: 'timeo', severity: 'warning', why: 'It counts tenths of a second: a NAS that is slow for a moment fails the backup.' }] // prettier-ignore
      : [];
  return [{ option, ...outage(isSoft, transfer) }, ...hasty];
}

function outage(isSoft: boolean, transfer: TransferWish | null): Omit<MountAdvice, 'option'> {
  if (transfer === 'pull')
    return isSoft
      ? { severity: 'ok', why: 'With pull a NAS that is away fails the backup, and the guest does not notice.' }
      : { severity: 'ok', why: 'With pull a NAS that is away holds up the backup and not the guest; with soft the backup would fail instead of waiting.' }; // prettier-ignore
  return isSoft
    ? { severity: 'warning', why: 'With push a NAS that is away for too long becomes the guest’s own I/O error: use hard, or pull.' }
    : { severity: 'ok', why: 'With push a NAS that is away stalls the guest’s writes until it is back, and nothing is lost; pull keeps it out of the guest’s way.' }; // prettier-ignore
}
