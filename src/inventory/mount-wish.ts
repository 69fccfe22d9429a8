import type { RepositoryWithWay } from '../database/repositories/backup-repositories';
import type { MountWish } from '../domain/agent/judge-mount-options';
import type { RepositoryType } from '../domain/agent/mount-option-names';

/** How a repository is mounted, to be judged. */
export const mountWishOf = ({
  type,
  mountOpts,
  transfer,
  bandwidth,
}: Pick<RepositoryWithWay, 'type' | 'mountOpts' | 'transfer' | 'bandwidth'>): MountWish => ({
  type: type as RepositoryType,
  options: mountOpts,
  // Under a limit nothing goes by push.
  transfer: bandwidth === null ? transfer : 'pull',
});
