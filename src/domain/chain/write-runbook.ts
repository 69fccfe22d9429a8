import { quote } from '../agent/quote';
import { partMountOptions } from '../agent/mount-options';
import { ASSURANCE_SENTENCES, type Assurance } from './assurance';

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
 * The commands that restore a point with mount and qemu-img alone, as a script for `/bin/sh`. It changes nothing on the NAS, and ends
 * with a comparison of what it wrote with the chain.
 */
export function writeRunbook(point: RunbookPoint, repository: RunbookRepository, to: string): string[] {
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
    ...(disks.length === 0 ? unknownDisks(directory) : disks.flatMap((disk) => diskLines(directory, disk))),
    '',
    '# The definition of the VM, where it was kept: give it another name and uuid, put the new files in, then virsh create.',
    `[ ! -e ${directory}/domain-config.xml ] || cp ${directory}/domain-config.xml "$to"/`,
    'ls -l "$to"',
  ];
}

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
