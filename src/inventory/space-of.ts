import type { BackupRepositoryRow } from '../database/entities/backup-repository-row';
import type { BackupRepositories } from '../database/repositories/backup-repositories';
import { forecastSpace, GROWTH_DAYS } from '../domain/retention/forecast-space';

/** How a repository fills up, as it is told to people. */
export interface RepositorySpace {
  readonly growthPerDay: number | null;
  /** RFC 3339 UTC. */
  readonly fullOn: string | null;
  readonly warning: string | null;
}

/** How a repository fills up, by what was seen of it and what the books saw it grow. */
export async function spaceOf(
  repositories: BackupRepositories,
  { uuid, usedBytes, capacityBytes, created }: Pick<BackupRepositoryRow, 'uuid' | 'usedBytes' | 'capacityBytes' | 'created'>,
  warnPercent: number,
): Promise<RepositorySpace> {
  const now = Math.floor(Date.now() / 1000);
  const grownBytes = await repositories.growth(uuid, new Date((now - GROWTH_DAYS * 86_400) * 1000));
  const known = { usedBytes, capacityBytes, grownBytes, since: created && created.getTime() / 1000, now, warnPercent };
  const { fullOn, ...space } = forecastSpace(known);
  return { ...space, fullOn: fullOn === null ? null : new Date(fullOn * 1000).toISOString() };
}
