import { Option } from 'commander';
import { TRANSFER_WISHES } from '../domain/agent/facts';

/** `--transfer`, of an offering and of a call. */
export const transferOption = (): Option =>
  new Option(
    '--transfer <way>',
    'how the data of a running VM travels: QEMU writes the NAS (push), readers of the host copy, with the NAS out of the guest’s way (pull), or pull where the host has room (auto)',
  ).choices(TRANSFER_WISHES);
