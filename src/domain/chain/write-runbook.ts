import { quote } from '../agent/quote';
import { partMountOptions } from '../agent/mount-options';
import { ASSURANCE_SENTENCES, type Assurance } from './assurance';
import { domainLines } from './domain-lines';

/** One restore point, as somebody restores it by hand. */
export interface RunbookPoint {
  readonly uuid: string;
  /** libvirt's name. */
  readonly vm: string;
  /** RFC 3339. */
  readonly date: string | null;
  /** Directory on the NAS, relative. */
  readonly externalId: string;
  readonly assurance: Assurance;
  /** Directories of the links under it, nearest first: their files have to be there, too. */
  readonly ancestors: readonly string[];
  /** Empty: nobody knows its files, as of a stock script's run. */
  readonly disks: readonly { readonly target: string; readonly file: string; readonly virtualSize: number | null }[];
}

/** Where its files lie; options may hold secrets, which are not written down. */
export interface RunbookRepository {
  readonly type: string;
  readonly address: string;
  readonly options: string | null;
}

/** What a mount of each type needs besides, so that nothing is changed. */
const READ_ONLY: Readonly<Record<string, string>> = { dir: 'bind,ro', cifs: 'ro,nobrl' };

/**
 * The commands that restore a point with mount and qemu-img alone, as a script for `/bin/sh`. It changes nothing on the NAS, and
 * compares what it wrote with the chain.
 * @param newName a VM of that name is made of it and started; null: none
 */
export function writeRunbook(point: RunbookPoint, repository: RunbookRepository, to: string, newName: string | null): string[] {
  const { uuid, vm, date, externalId, assurance, ancestors, disks } = point;
  const directory = `"$mnt"/${quote(externalId)}`;
  return [
    '#!/bin/sh',
    `# Restores backup ${uuid} of ${vm}, as its disks were at ${date ?? 'an unknown time'}, into new files.`,
    `# What it is worth: ${assurance}. ${ASSURANCE_SENTENCES[assurance]}`,
    '# Run it as root, on a host with qemu-img that reaches the NAS. It changes nothing there.',
    'set -eu',
    `to=${quote(to)}`,
    'mkdir -p "$to"',
    'mnt=$(mktemp -d)',
    `trap 'umount "$mnt" 2>/dev/null || :; rmdir "$mnt"' EXIT`,
    '',
    ...mountLines(repository),
    '',
    ancestors.length === 0 ? '# It is a full: it stands on nothing.' : '# What it stands on has to be there.',
    ...[externalId, ...ancestors].map((path) => `ls "$mnt"/${quote(path)}`),
    ...checkLines([externalId, ...ancestors]),
    ...(disks.length === 0 ? unknownDisks(directory) : disks.flatMap((disk) => diskLines(directory, disk))),
    '',
    '# The definition of the VM, where it was kept.',
    `[ ! -e ${directory}/domain-config.xml ] || cp ${directory}/domain-config.xml "$to"/`,
    'ls -l "$to"',
    ...(newName === null ? [] : ['', ...makeDomain(point, to, newName)]),
  ];
}

function makeDomain({ disks }: RunbookPoint, to: string, newName: string): string[] {
  if (disks.length === 0)
    return ['# The books do not know which file is which disk: docs/restore-by-hand.md tells how to go on.'];
  return domainLines(
    to,
    newName,
    disks.map(({ target, file }) => ({ file, name: `${target}.qcow2` })),
  );
}

/** The comparison at the end says that what was written is what the chain holds; only this says that the chain holds what was backed up. */
const checkLines = (directories: readonly string[]): string[] => [
  '',
  '# What its files held when somebody read them back (needs jq, and reads all of them).',
  `for link in ${directories.map((path) => `"$mnt"/${quote(path)}`).join(' ')}; do`,
  '  [ -e "$link"/checksums.json ] || { echo "$link: nobody has taken checksums"; continue; }',
  `  (cd "$link" && jq -r '.files | to_entries[] | "\\(.value.sha256)  \\(.key)"' checksums.json | sha256sum --check)`,
  'done',
];

function mountLines({ type, address, options }: RunbookRepository): string[] {
  const { open, credentials, secret } = partMountOptions(options ?? '');
  const file = type === 'cifs' && credentials !== null ? 'credentials=/root/nas.credentials' : '';
  const wanted = [READ_ONLY[type] ?? 'ro', open, file].filter((option) => option !== '').join(',');
  return [
    ...(file === '' ? [] : ['# Write the lines username=... and password=... to /root/nas.credentials first (chmod 600).']),
    ...(secret.length === 0 && (file !== '' || credentials === null)
      ? []
      : ['# The repository has a secret among its mount options, which is not written down here: add it.']),
    `mount ${type === 'dir' ? '' : `-t ${quote(type)} `}-o ${quote(wanted)} -- ${quote(address)} "$mnt"`,
  ];
}

const diskLines = (directory: string, { target, file, virtualSize }: RunbookPoint['disks'][number]): string[] => [
  '',
  `# Disk ${target}${virtualSize === null ? '' : `, ${virtualSize} bytes`}: look at its chain, flatten it, compare.`,
  ...restoreLines(`${directory}/${quote(file)}`, `"$to"/${quote(`${target}.qcow2`)}`),
];

const unknownDisks = (directory: string): string[] => [
  '',
  '# The books do not know its files: every image in its directory.',
  `for file in ${directory}/*.qcow2; do`,
  ...restoreLines('"$file"', '"$to"/"${file##*/}"').map((line) => `  ${line}`),
  'done',
];

const restoreLines = (from: string, into: string): string[] => [
  `[ ! -e ${into} ] || { echo "${'$to'}: a file is there already" >&2; exit 1; }`,
  `qemu-img info --backing-chain ${from}`,
  `qemu-img convert -p -f qcow2 -O qcow2 ${from} ${into}`,
  `qemu-img compare -f qcow2 -F qcow2 ${from} ${into}`,
];
