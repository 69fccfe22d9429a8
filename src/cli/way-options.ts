import { Option } from 'commander';
import { LOST_BITMAP_WISHES, TRANSFER_WISHES } from '../domain/agent/facts';

/** `--transfer`, of a repository, an offering and a call. */
export const transferOption = (): Option =>
  new Option(
    '--transfer <way>',
    'how the data of a running VM travels: QEMU writes the NAS (push), readers of the host copy, with the NAS out of the guest’s way (pull), or pull where the host has room (auto)',
  ).choices(TRANSFER_WISHES);

/** `--on-lost-bitmap`, of an offering and of a call. */
export const onLostBitmapOption = (): Option =>
  new Option(
    '--on-lost-bitmap <way>',
    'where a disk’s bitmap is lost: a full of all disks (full), or compare that disk with its chain and store what differs (rescue)',
  ).choices(LOST_BITMAP_WISHES);
