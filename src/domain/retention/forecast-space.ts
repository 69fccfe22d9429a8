/** What is known of the space of a repository. */
export interface SpaceKnown {
  /** When last looked; null: nobody has. */
  readonly usedBytes: number | null;
  readonly capacityBytes: number | null;
  /** What backups wrote in the time looked back over, less what was removed in it; bytes. */
  readonly grownBytes: number;
  /** Since when it is in the books, epoch seconds; null: nobody knows. */
  readonly since: number | null;
  /** Epoch seconds. */
  readonly now: number;
  /** Percent in use from which on it is told. */
  readonly warnPercent: number;
}

/** How a repository fills up. */
export interface SpaceForecast {
  /** Bytes a day; null: there is less than a day to go by. */
  readonly growthPerDay: number | null;
  /** Epoch seconds of the day it is full if it goes on like this; null: never, or nobody can tell. */
  readonly fullOn: number | null;
  /** What is to be told; null: nothing. */
  readonly warning: string | null;
}

const DAY = 86_400;
/** Days that growth is looked back over. */
export const GROWTH_DAYS = 30;

/** When a repository is full if it goes on growing as the books saw it grow, and whether that is to be told now. */
export function forecastSpace(known: SpaceKnown): SpaceForecast {
  const { usedBytes, capacityBytes, grownBytes, since, now, warnPercent } = known;
  const days = since === null ? 0 : Math.min(GROWTH_DAYS, (now - since) / DAY);
  const growthPerDay = days < 1 ? null : Math.round(grownBytes / days);
  if (usedBytes === null || capacityBytes === null) return { growthPerDay, fullOn: null, warning: null };
  const grows = growthPerDay !== null && growthPerDay > 0;
  // Beyond the last moment that a date can name it is never full.
  const left = grows ? (Math.max(0, capacityBytes - usedBytes) / growthPerDay) * DAY : Infinity;
  const percent = capacityBytes === 0 ? 100 : Math.floor((usedBytes / capacityBytes) * 100);
  return {
    growthPerDay,
    fullOn: left > 100 * 365 * DAY ? null : Math.floor(now + left),
    warning: percent < warnPercent ? null : `${percent} % of it are in use, and from ${warnPercent} % on that is told`,
  };
}
