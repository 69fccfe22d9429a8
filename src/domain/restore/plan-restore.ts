import type { InspectFacts } from '../agent/facts';
import { ASSURANCES, ASSURANCE_SENTENCES, type Assurance, weakest } from '../chain/assurance';
import type { BookedBackup, BookedDisk } from '../chain/booked-backup';
import { readChains } from '../chain/read-chain';
import { isRefusal, refusal, type Refusal } from '../chain/refusal';
import { restorePoints } from '../chain/restore-points';
import { DISK_FORMATS, type DiskFormat, type RestoredDisk, type RestorePlan, type RestoreRequest } from './restore-plan';

/** What the books and the host know. */
export interface RestoreBooks {
  /** libvirt's name of the VM. */
  readonly vm: string;
  /** All of the VM that are not removed. */
  readonly backups: readonly BookedBackup[];
  /** Its volumes now, in its order. */
  readonly volumes: readonly {
    readonly target: string;
    readonly deviceId: number;
    readonly path: string;
    readonly size: number | null;
  }[];
  /** The VM as its host sees it; null: nobody looked, and nothing of the VM is touched. */
  readonly facts: InspectFacts | null;
}

/** A point that may be restored, and what it is worth. */
interface Point {
  readonly backup: BookedBackup & { readonly externalId: string; readonly repositoryId: string };
  readonly assurance: Assurance;
  /** The nearest that is worth more, as a sentence. */
  readonly better: string;
}

/** A part of a plan, or why there is none. */
type Or<T> = T | Refusal;

/**
 * What a restore does, disk by disk, or why not. A point that is worth little is never refused for that: whoever takes it says so, and
 * which better one is near.
 */
export function planRestore(request: RestoreRequest, books: RestoreBooks): RestorePlan | Refusal {
  const point = findPoint(request, books);
  if (isRefusal(point)) return point;
  const unusable = checkWishes(request) ?? (request.way === 'in-place' ? checkStopped(books) : null);
  if (unusable !== null) return unusable;
  const files = filesOf(request, point.backup);
  if (isRefusal(files)) return files;
  const unfit = checkChosen(request, files);
  if (unfit !== null) return unfit;
  const disks = placeDisks(request, books, files, point.backup.disks);
  if (isRefusal(disks)) return disks;
  const sizes = disks.map(({ virtualSize }) => virtualSize);
  return {
    kind: 'restore',
    backup: point.backup.uuid,
    vm: books.vm,
    way: request.way,
    externalId: point.backup.externalId,
    repositoryId: point.backup.repositoryId,
    assurance: point.assurance,
    accepted: request.accepted,
    disks,
    overwrite: request.overwrite,
    newName: request.newName,
    networks: request.networks,
    attachTo: request.attachTo,
    bandwidth: request.bandwidth,
    bytes: sizes.includes(null) ? null : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0),
    warnings: warningsOf(request, books, point, disks, files),
  };
}

function findPoint({ backup: uuid, accepted }: RestoreRequest, { backups }: RestoreBooks): Or<Point> {
  const backup = backups.find((other) => other.uuid === uuid);
  const { externalId = null, repositoryId = null } = backup ?? {};
  if (backup === undefined || backup.status !== 'BackedUp' || externalId === null)
    return refusal(
      'restore.nothing-there',
      'conflict',
      `Backup ${uuid} is ${backup?.status ?? 'not of this VM'}: nothing to be restored from.`,
      'chainkeeper backups --vm VM lists the restore points.',
    );
  if (repositoryId === null)
    return refusal(
      'restore.no-repository',
      'refused',
      `Nobody knows in which repository backup ${uuid} lies.`,
      'Its offering or repository was removed from the books; docs/restore-by-hand.md tells how to restore it from the NAS alone.',
    );
  const { under, assurance } = standing(backup, backups);
  const missing = under === null || [backup, ...under].some(({ files }) => files === 'missing');
  const better = offerBetter(backup, missing ? 'broken' : assurance, backups);
  if (missing)
    return refusal(
      'restore.not-restorable',
      'refused',
      `Backup ${uuid} cannot be restored: a file of it or of a link under it is missing, or the books do not lead to its full.`,
      `${better} When it is back: chainkeeper checksums BACKUP --verify. Or look at what is there, by hand: docs/restore-by-hand.md.`,
    );
  if (assurance === 'broken' && accepted?.level !== 'broken')
    return refusal(
      'restore.broken',
      'refused',
      `Backup ${uuid} is broken. ${ASSURANCE_SENTENCES.broken}`,
      `${better} Or take it as it is: --salvage, and why.`,
    );
  if (assurance === 'unproven' && accepted === null)
    return refusal(
      'restore.unproven',
      'refused',
      `Backup ${uuid} is unproven. ${ASSURANCE_SENTENCES.unproven}`,
      `${better} Or take it as it is: --accept-unproven, and why.`,
    );
  return { backup: { ...backup, externalId, repositoryId }, assurance, better };
}

/** The links under a point, down to its full, and what it is worth; null: the books do not lead there. */
function standing(
  backup: BookedBackup,
  backups: readonly BookedBackup[],
): { under: readonly BookedBackup[] | null; assurance: Assurance } {
  const link = readChains(backups)
    .flatMap(({ links }) => links)
    .find((other) => other.backup === backup);
  // What is in no chain stands for itself when it is a full (a legacy full).
  const under = link === undefined ? (backup.type === 'FULL' ? [] : null) : link.ancestors;
  const damaged = [backup, ...(under ?? [])].some(({ files }) => files === 'damaged');
  return { under, assurance: damaged ? 'broken' : (link?.pointAssurance ?? weakest([backup.assurance ?? 'unproven'])) };
}

/** The nearest point in time that is worth more. */
function offerBetter({ date, uuid }: BookedBackup, assurance: Assurance, backups: readonly BookedBackup[]): string {
  const level = Math.max(ASSURANCES.indexOf(assurance), ASSURANCES.indexOf('unproven'));
  const distance = (other: BookedBackup): number => Math.abs((other.date ?? Infinity) - (date ?? 0));
  const [nearest] = restorePoints(backups)
    .filter((point) => point.backup.uuid !== uuid && ASSURANCES.indexOf(point.assurance) > level)
    .sort((a, b) => distance(a.backup) - distance(b.backup));
  if (nearest === undefined) return 'The VM has no better point.';
  const { uuid: id, date: when } = nearest.backup;
  const moment = when === null ? '' : ` of ${new Date(when * 1000).toISOString()}`;
  return `The nearest better point is ${id}${moment} (${nearest.assurance}).`;
}

const contradiction = (message: string, next: string): Refusal => refusal('restore.contradiction', 'refused', message, next);

function checkWishes({ way, to, paths, newName, networks, attachTo, overwrite }: RestoreRequest): Refusal | null {
  const placed = to !== null || Object.keys(paths).length > 0;
  if (way === 'in-place' && (to !== null || overwrite || newName !== null || attachTo !== null))
    return contradiction(
      'A restore in place goes over the VM’s own volumes: it has no directory, device, name or other VM.',
      'Leave these out, or the wish for it to be in place.',
    );
  if (way !== 'in-place' && !placed)
    return contradiction('Nobody said where the disks are to go.', 'Name a directory of the host (--to), or ask for --in-place.');
  if ((way === 'new-domain') !== (newName !== null))
    return contradiction('A new VM needs a name, and only a new VM has one.', 'Give it with --new-name.');
  if (networks && newName === null)
    return contradiction('Only a new VM gets network links.', 'Leave --networks out, or name the VM with --new-name.');
  if (attachTo !== null && newName !== null)
    return contradiction('A new VM has its disks already.', 'Leave --attach or --new-name out.');
  return null;
}

/** What can only be said of the disks that were chosen. */
function checkChosen({ attachTo, paths }: RestoreRequest, chosen: readonly KnownDisk[]): Refusal | null {
  const stray = Object.keys(paths).find((target) => chosen.every((disk) => disk.target !== target));
  if (stray !== undefined)
    return contradiction(`A place was named for disk ${stray}, which is not restored.`, restoredAre(chosen));
  if (attachTo !== null && chosen.length !== 1)
    return contradiction('Only one new disk can be attached to another VM.', `Name it with --disk. ${restoredAre(chosen)}`);
  return null;
}

const restoredAre = (chosen: readonly KnownDisk[]): string =>
  `What is restored: ${chosen.map(({ target }) => target).join(', ')}.`;

function checkStopped({ vm, facts }: RestoreBooks): Refusal | null {
  const state = facts?.vm.state;
  if (state === 'shut off' || state === 'absent') return null;
  return refusal(
    'restore.vm-running',
    'conflict',
    `VM ${vm} is ${state ?? 'in an unknown state'}: its disks are in use.`,
    'Stop it first, or restore into new files (--to).',
  );
}

/** The disks that are wanted, each with the name of its file. */
function filesOf({ disks: wanted, files }: RestoreRequest, { uuid, disks }: BookedBackup): Or<readonly KnownDisk[]> {
  const named = Object.entries(files)
    .filter(([target]) => disks.every((disk) => disk.target !== target))
    .map(([target, file], index) => ({
      target,
      deviceId: disks.length + index,
      path: null,
      format: null,
      virtualSize: null,
      file,
    }));
  const known = [...disks.map((disk) => ({ ...disk, file: files[disk.target] ?? disk.file })), ...named];
  const missing = (wanted ?? []).find((target) => known.every((disk) => disk.target !== target));
  if (known.length > 0 && missing !== undefined)
    return refusal(
      'restore.no-such-disk',
      'not-found',
      `Backup ${uuid} holds no disk ${missing}.`,
      `It holds ${known.map(({ target }) => target).join(', ')}.`,
    );
  const chosen = known.filter(({ target }) => wanted?.includes(target) ?? true);
  const nameless = chosen.find(({ file }) => file === null);
  if (chosen.length === 0 || nameless !== undefined)
    return refusal(
      'restore.files-unknown',
      'refused',
      `The books do not know the files of backup ${uuid}${nameless === undefined ? '' : ` for disk ${nameless.target}`}: a stock script took it.`,
      'Name them: --file vda=root.….qcow2, one for each disk; they lie in its directory on the NAS.',
    );
  return chosen.map((disk) => ({ ...disk, file: disk.file ?? '' }));
}

type KnownDisk = Pick<BookedDisk, 'target' | 'deviceId' | 'path' | 'format' | 'virtualSize'> & { readonly file: string };

function placeDisks(
  request: RestoreRequest,
  books: RestoreBooks,
  disks: readonly KnownDisk[],
  backedUp: readonly BookedDisk[],
): Or<readonly RestoredDisk[]> {
  const placed = disks.map((disk) =>
    request.way === 'in-place' ? placeInVm(request, books, disk, backedUp) : placeAnew(request, books, disk),
  );
  const refused = placed.find(isRefusal);
  if (refused !== undefined) return refused;
  const there = placed as readonly RestoredDisk[];
  const twice = there.find(({ to }, index) => there.findIndex((other) => other.to === to) !== index);
  if (twice !== undefined)
    return refusal('restore.same-place', 'refused', `Two disks would go to ${twice.to}.`, 'Name a place of its own for each.');
  return there;
}

function placeInVm(
  request: RestoreRequest,
  books: RestoreBooks,
  from: KnownDisk,
  backedUp: readonly BookedDisk[],
): Or<RestoredDisk> {
  const { vm, facts } = books;
  const { target, virtualSize, file } = from;
  const volume = volumeFor(request, books, from, backedUp);
  if (isRefusal(volume)) return volume;
  const seen = facts?.disks.find(({ path }) => path === volume.path);
  if (seen?.type === 'block' || seen?.type === 'network' || !volume.path.startsWith('/'))
    return refusal(
      'restore.not-in-place',
      'refused',
      `Disk ${target} of ${vm} is no file: there is no room beside it to write the new one before the old one goes.`,
      'Restore it to a path (--to), and replace it by hand.',
    );
  const format = formatInVm(request, vm, from, seen?.format ?? null);
  if (typeof format !== 'string') return format;
  return {
    ...{ target, deviceId: volume.deviceId, file, to: volume.path, format, virtualSize },
    sizeNow: seen?.virtualSize ?? volume.size,
  };
}

/**
 * The volume that a disk goes over: the one that was named, else the one of its letter if that is the one that was backed up. Letters go from
 * one volume to another when disks are detached and attached.
 */
function volumeFor(
  { paths }: RestoreRequest,
  { vm, volumes }: RestoreBooks,
  { target, path }: KnownDisk,
  backedUp: readonly BookedDisk[],
): Or<RestoreBooks['volumes'][number]> {
  const has = volumes.map((volume) => `${volume.target} ${volume.path}`).join(', ') || 'none';
  const named = paths[target];
  if (named !== undefined)
    return (
      volumes.find((volume) => volume.path === named) ??
      contradiction(`VM ${vm} has no volume ${named}: a restore in place goes over its own.`, `Its volumes are: ${has}.`)
    );
  const lettered = volumes.find((volume) => volume.target === target);
  const own = path === null ? lettered : sameVolume(path, volumes, backedUp);
  if (own !== undefined && own === lettered) return own;
  if (own === undefined && lettered === undefined)
    return refusal(
      'restore.no-volume',
      'refused',
      `VM ${vm} has no disk ${target} now.`,
      'Restore it into a new file (--disk, --to) and attach that, or leave it out by naming the others with --disk.',
    );
  return refusal(
    'restore.other-volume',
    'refused',
    `Disk ${target} was ${path} when it was backed up. ${
      own === undefined ? `VM ${vm} has ${lettered?.path} there now` : `That is ${own.target} of ${vm} now`
    }.`,
    `Say which volume it is to go over, for what that holds is lost: --to ${target}=${(own ?? lettered)?.path}. Volumes: ${has}.`,
  );
}

/** A volume keeps its name when it goes to another storage; as long as only one has that name, it tells which it is. */
function sameVolume(
  path: string,
  volumes: RestoreBooks['volumes'],
  backedUp: readonly BookedDisk[],
): RestoreBooks['volumes'][number] | undefined {
  const there = volumes.find((volume) => volume.path === path);
  if (there !== undefined) return there;
  const namesakes = volumes.filter((volume) => nameOf(volume.path) === nameOf(path));
  const alone =
    namesakes.length === 1 && backedUp.filter((disk) => disk.path !== null && nameOf(disk.path) === nameOf(path)).length === 1;
  return alone ? namesakes[0] : undefined;
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/**
 * The format of the volume, for the VM's definition goes on saying what it says: a file of another one would be read as something that it is
 * not. What is seen of a stopped VM may be what its guest wrote at the begin of a raw disk.
 */
function formatInVm({ format, paths }: RestoreRequest, vm: string, from: KnownDisk, has: string | null): DiskFormat | Refusal {
  const { target } = from;
  // Of another volume than the one that was backed up, the books do not know it.
  const booked = paths[target] === undefined || paths[target] === from.path ? from.format : null;
  const known = has ?? booked;
  if (known !== null && !isDiskFormat(known))
    return refusal(
      'restore.not-in-place',
      'refused',
      `Disk ${target} of ${vm} is of the format ${known}, which nothing here can write.`,
      'Restore it to a path (--to), and change the definition of the VM by hand.',
    );
  if (has !== null && booked !== null && has !== booked)
    return format !== null && [has, booked].includes(format)
      ? format
      : refusal(
          'restore.format-unknown',
          'refused',
          `Disk ${target} of ${vm} was ${booked} when it was backed up, and looks like ${has} now.`,
          'Say what the definition of the VM says: --format. A guest can make a raw disk look like something else.',
        );
  if (known !== null && format !== null && format !== known)
    return contradiction(
      `Disk ${target} of ${vm} is ${known}: as ${format} it could not be read in its place.`,
      'Leave the format out, or restore into new files (--to).',
    );
  return (
    known ??
    format ??
    refusal(
      'restore.format-unknown',
      'refused',
      `The volume of disk ${target} of ${vm} cannot be read or is gone, and nobody knows its format.`,
      'Say what the definition of the VM says: --format qcow2 or --format raw.',
    )
  );
}

const isDiskFormat = (text: string): text is DiskFormat => (DISK_FORMATS as readonly string[]).includes(text);

function placeAnew(
  { to, paths, format: wished, newName }: RestoreRequest,
  { vm }: RestoreBooks,
  { target, deviceId, virtualSize, file }: KnownDisk,
): Or<RestoredDisk> {
  const named = paths[target];
  if (named === undefined && to === null)
    return refusal(
      'restore.no-place',
      'refused',
      `Nobody said where disk ${target} is to go.`,
      `Name a directory (--to), or its own path (--to ${target}=/…), or leave it out by naming the others with --disk.`,
    );
  const format: DiskFormat = wished ?? (named?.startsWith('/dev/') ? 'raw' : 'qcow2');
  const path = named ?? `${to?.replace(/\/+$/, '')}/${newName ?? vm}-${target}.${format}`;
  return { target, deviceId, file, to: path, format, virtualSize, sizeNow: null };
}

function warningsOf(
  { way, attachTo }: RestoreRequest,
  { volumes }: RestoreBooks,
  { assurance, better }: Point,
  disks: readonly RestoredDisk[],
  from: readonly KnownDisk[],
): string[] {
  const doubtful = assurance === 'broken' || assurance === 'unproven' ? [`taken as it is, ${assurance}: ${better}`] : [];
  if (attachTo !== null) return [...doubtful, `${attachTo} will have a disk more: its next backup is a full`];
  if (way !== 'in-place') return doubtful;
  const left = volumes.filter(({ path }) => disks.every(({ to }) => to !== path)).map(({ target }) => target);
  const moved = disks.flatMap(({ target, to }) => {
    const path = from.find((disk) => disk.target === target)?.path ?? null;
    if (path === null) return [`nobody knows which volume ${target} was when it was backed up: it goes over ${to}`];
    return path === to ? [] : [`${target} was ${path} when it was backed up, and goes over ${to}: see that this may be`];
  });
  return [
    ...doubtful,
    ...(left.length === 0 ? [] : [`${left.join(', ')} of the VM stays as it is: it may not fit the others any more`]),
    ...moved,
    ...disks.flatMap(({ target, sizeNow, virtualSize }) =>
      sizeNow === null || virtualSize === null || sizeNow === virtualSize
        ? []
        : [`${target} has ${sizeNow} bytes now and will have ${virtualSize}`],
    ),
    'every bitmap of the VM goes with its old disks: its next backup is a full, or where its offering says so a rescue',
  ];
}
