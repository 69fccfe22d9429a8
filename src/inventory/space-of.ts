import type { BackupRepositoryRow } from '../database/entities/backup-repository-row';
import type { RepositoryGrowth } from '../database/repositories/backup-repositories';
import { forecastSpace, GROWTH_DAYS } from '../domain/retention/forecast-space';

/** How a repository fills up, as it is told to people. */
export interface RepositorySpace {
  readonly growthPerDay: number | null;
  /** RFC 3339 UTC. */
  readonly fullOn: string | null;
  readonly warning: string | null;
}

/** From when on growth counts. */
export const growthSince = (): Date => new Date(Date.now() - GROWTH_DAYS * 86_400_000);

/** How a repository fills up, by what was seen of it and what the books saw it grow. */
export function spaceOf(
  { uuid, usedBytes, capacityBytes }: Pick<BackupRepositoryRow, 'uuid' | 'usedBytes' | 'capacityBytes'>,
  growths: ReadonlyMap<string, RepositoryGrowth>,
  warnPercent: number,
): RepositorySpace {
  const { grownBytes, first } = growths.get(uuid) ?? { grownBytes: 0, first: null };
  const now = Math.floor(Date.now() / 1000);
  const firstDate = first === null ? null : first.getTime() / 1000;
  const { fullOn, ...space } = forecastSpace({ usedBytes, capacityBytes, grownBytes, firstDate, now, warnPercent });
  return { ...space, fullOn: fullOn === null ? null : new Date(fullOn * 1000).toISOString() };
}
