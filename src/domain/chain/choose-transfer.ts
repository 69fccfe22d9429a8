import type { TransferWish } from '../agent/facts';
import type { BackupPolicy, BackupRequest } from './backup-plan';

/** Who said how the data is to travel, the strongest first; `limit`: nobody whose word a limit leaves room for; `default`: nobody did. */
export type TransferSource = 'call' | 'offering' | 'repository' | 'limit' | 'default';

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
  limit: 'there is a limit, and a push cannot keep one',
  default: 'neither the call nor the offering nor the repository says otherwise',
};

/**
 * How the data of a live VM is to travel: the nearer to this one backup it was said, the more it counts. Under a limit nothing goes by push,
 * unless a call says so, which is refused: a backup that is late by a setting is better than one that is not taken.
 */
export function chooseTransfer(
  request: Pick<BackupRequest, 'transfer'>,
  policy: Pick<BackupPolicy, 'transfer' | 'repositoryTransfer'>,
  limited = false,
): ChosenTransfer {
  const said = saidTransfer(request, policy);
  return limited && said.transfer === 'push' ? { transfer: 'pull', transferFrom: 'limit' } : said;
}

/** What somebody said, whether it can be or not. */
export function saidTransfer(
  request: Pick<BackupRequest, 'transfer'>,
  policy: Pick<BackupPolicy, 'transfer' | 'repositoryTransfer'>,
): ChosenTransfer {
  if (request.transfer !== undefined) return { transfer: request.transfer, transferFrom: 'call' };
  if (policy.transfer !== null) return { transfer: policy.transfer, transferFrom: 'offering' };
  if (policy.repositoryTransfer !== null) return { transfer: policy.repositoryTransfer, transferFrom: 'repository' };
  return { transfer: DEFAULT_TRANSFER, transferFrom: 'default' };
}
