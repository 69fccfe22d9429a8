import { ASSURANCES, type Assurance } from '../chain/assurance';
import { type Period, periodOf } from './period-of';

/** How many are kept; nothing but zeroes keeps all. */
export interface RetentionPolicy {
  readonly keepLast: number;
  readonly keepHourly: number;
  readonly keepDaily: number;
  readonly keepWeekly: number;
  readonly keepMonthly: number;
  readonly keepYearly: number;
}

/** A restore point, as far as a policy looks at it. */
export interface DatedPoint {
  readonly uuid: string;
  /** Epoch seconds. */
  readonly date: number;
  /** Null: it cannot be restored, and is worth less than any that can. */
  readonly assurance: Assurance | null;
}

const RULES: readonly (readonly [keyof RetentionPolicy, string, Period | null])[] = [
  ['keepLast', 'last', null],
  ['keepHourly', 'hourly', 'hour'],
  ['keepDaily', 'daily', 'day'],
  ['keepWeekly', 'weekly', 'week'],
  ['keepMonthly', 'monthly', 'month'],
  ['keepYearly', 'yearly', 'year'],
];

/**
 * Which points a policy keeps, and by which rule. As Proxmox has it: of each period the newest, rule by rule from the shortest period on, and
 * a period that an earlier rule has kept a point of does not count. Each level of assurance is asked by itself: a worse point never takes
 * the place of a better one.
 * @param points of one second: the newer first
 * @param zone IANA name of the time zone that days and weeks begin in
 */
export function selectKept(points: readonly DatedPoint[], policy: RetentionPolicy, zone: string): Map<string, string> {
  if (RULES.every(([key]) => policy[key] === 0)) return new Map(points.map(({ uuid }) => [uuid, 'all']));
  const kept = new Map<string, string>();
  // Naming a period takes longer than all the rest.
  const names = new Map<string, string>();
  const nameOf: NameOf = (period, { uuid, date }) => {
    const key = `${period} ${date}`;
    const name = names.get(key) ?? (period === null ? uuid : periodOf(period, date, zone));
    if (period !== null) names.set(key, name);
    return name;
  };
  for (let level = ASSURANCES.length - 1; level >= -1; level -= 1) {
    const worth = points.filter(({ assurance }) => (assurance === null ? -1 : ASSURANCES.indexOf(assurance)) >= level);
    for (const [uuid, rule] of selectOfLevel(worth, policy, nameOf)) if (!kept.has(uuid)) kept.set(uuid, rule);
  }
  return kept;
}

/** What a rule counts by: the period that a point lies in, or without one the point itself. */
type NameOf = (period: Period | null, point: DatedPoint) => string;

function selectOfLevel(points: readonly DatedPoint[], policy: RetentionPolicy, nameOf: NameOf): Map<string, string> {
  const newestFirst = [...points].sort((a, b) => b.date - a.date);
  const kept = new Map<string, string>();
  for (const [key, rule, period] of RULES) {
    let left = policy[key];
    if (left === 0) continue;
    const covered = new Set(newestFirst.filter(({ uuid }) => kept.has(uuid)).map((point) => nameOf(period, point)));
    for (const point of newestFirst) {
      if (left === 0) break;
      if (kept.has(point.uuid) || covered.has(nameOf(period, point))) continue;
      covered.add(nameOf(period, point));
      kept.set(point.uuid, rule);
      left -= 1;
    }
  }
  return kept;
}
