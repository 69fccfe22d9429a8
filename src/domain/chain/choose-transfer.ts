import type { TransferWish } from '../agent/facts';
import type { BackupPolicy, BackupRequest } from './backup-plan';

/** Who said how the data is to travel, the strongest first; `default`: nobody did. */
export type TransferSource = 'call' | 'offering' | 'repository' | 'default';

/** A way, and who said so. */
export interface ChosenTransfer {
  readonly transfer: TransferWish;
  readonly transferFrom: TransferSource;
}

/** CloudStack's way. */
export const DEFAULT_TRANSFER: TransferWish = 'push';

/** Who said so, for people. */
export const TRANSFER_SOURCES: Readonly<Record<TransferSource, string>> = {
  call: 'the call asked for it',
  offering: 'the offering says so',
  repository: 'the repository says so',
  default: 'neither the call nor the offering nor the repository says otherwise',
};

/** How the data of a live VM is to travel: the nearer to this one backup it was said, the more it counts. */
export function chooseTransfer(
  request: Pick<BackupRequest, 'transfer'>,
  policy: Pick<BackupPolicy, 'transfer' | 'repositoryTransfer'>,
): ChosenTransfer {
  if (request.transfer !== undefined) return { transfer: request.transfer, transferFrom: 'call' };
  if (policy.transfer !== null) return { transfer: policy.transfer, transferFrom: 'offering' };
  if (policy.repositoryTransfer !== null) return { transfer: policy.repositoryTransfer, transferFrom: 'repository' };
  return { transfer: DEFAULT_TRANSFER, transferFrom: 'default' };
}
