import type { TransferWish } from '../domain/agent/facts';
import { refusePush } from '../domain/chain/refuse-unlimited';
import { UserError } from '../domain/errors';

/**
 * One and the same offering or repository cannot say both. Where the one says the way and the other the limit, nothing is refused: either may be
 * set without a thought of the other, and the backup goes by pull with a warning.
 * @throws UserError `backup.push-unlimited`
 */
export function refusePushUnderLimit(
  what: 'offering' | 'repository',
  { transfer, bandwidth }: { readonly transfer: TransferWish | null; readonly bandwidth: number | null },
): void {
  if (transfer !== 'push' || bandwidth === null) return;
  const { message, next } = refusePush(`By this ${what} at most ${bandwidth} MiB a second would go`);
  throw new UserError('backup.push-unlimited', 'refused', message, { next });
}
