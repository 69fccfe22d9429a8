import type { HostScript } from '../agent/build-argv';
import type { BackupPolicy, BackupRequest } from './backup-plan';
import { chooseBandwidth } from './choose-bandwidth';
import { refusal, type Refusal } from './refusal';

/** A limit and `push` in one breath: whoever asks for both is told, before anything moves faster than allowed. */
export const refusePush = (subject: string): Refusal =>
  refusal(
    'backup.push-unlimited',
    'refused',
    `${subject} by push, and a push cannot be limited: libvirt can slow its job down only after it has begun, and what the guest writes meanwhile goes to the NAS at once.`,
    'Let it go by pull or auto, or take the limit back.',
  );

/** Why a call cannot be done within the limit that it is to keep; null: it can. Settings that contradict each other are no reason: see {@link chooseTransfer}. */
export function refuseUnlimited(
  request: Pick<BackupRequest, 'transfer' | 'bandwidth'>,
  policy: Pick<BackupPolicy, 'bandwidth' | 'repositoryBandwidth'>,
  script?: HostScript,
): Refusal | null {
  const { bandwidth, bandwidthFrom } = chooseBandwidth(request, policy);
  if (bandwidth === null) return null;
  if (script?.kind === 'stock')
    return bandwidthFrom === 'call'
      ? refusal(
          'backup.stock-unlimited',
          'refused',
          'A limit was asked for, and the script of the host is CloudStack’s own, which knows none.',
          "Leave the limit out, or use Chainkeeper's own host script on that host.",
        )
      : null;
  return request.transfer === 'push' ? refusePush(`At most ${bandwidth} MiB a second are to go`) : null;
}
