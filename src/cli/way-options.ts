import { InvalidArgumentError, Option } from 'commander';
import { AFTER_RECREATION_WISHES } from '../domain/chain/after-recreation';
import { LOST_BITMAP_WISHES, TRANSFER_WISHES } from '../domain/agent/facts';

/** `--transfer`, of a repository, an offering and a call. */
export const transferOption = (): Option =>
  new Option(
    '--transfer <way>',
    'how the data of a running VM travels: QEMU writes the NAS (push), readers of the host copy, with the NAS out of the guest’s way (pull), or pull where the host has room (auto)',
  ).choices(TRANSFER_WISHES);

/** A whole number of arguments. */
export function wholeNumber(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number.');
}

/** `--bandwidth`, of a repository, an offering and a call. */
export const bandwidthOption = (): Option =>
  new Option(
    '--bandwidth <mib>',
    'MiB a second that a backup moves at most, all its disks together; it then goes by pull, for a push cannot be limited',
  ).argParser(wholeNumber);

/** `--on-lost-bitmap`, of an offering and of a call. */
export const onLostBitmapOption = (): Option =>
  new Option(
    '--on-lost-bitmap <way>',
    'where a disk’s bitmap is lost: a full of all disks (full), or compare that disk with its chain and store what differs (rescue)',
  ).choices(LOST_BITMAP_WISHES);

/** `--after-recreation`, of an offering. */
export const afterRecreationOption = (): Option =>
  new Option(
    '--after-recreation <when>',
    'where a stock script put a blank bitmap in the place of a lost one: the next backup when it is due (next), or by itself (at-once)',
  ).choices(AFTER_RECREATION_WISHES);
