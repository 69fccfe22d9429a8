import type { RetentionPolicy } from './select-kept';

/** What somebody said for an offering or a VM; null: nothing was said of it. */
export type RetentionWish = { readonly [K in keyof RetentionPolicy]: number | null } & {
  readonly minAgeHours: number | null;
  readonly zone: string | null;
  readonly manual: boolean | null;
};

/** By what a VM's restore points are kept. */
export interface RetentionRules {
  readonly policy: RetentionPolicy;
  /** Hours; what is younger stays. */
  readonly minAgeHours: number;
  /** IANA name of the time zone that days and weeks begin in. */
  readonly zone: string;
  /** Backups that somebody asked for count as well; else they take nobody's place and stay. */
  readonly manual: boolean;
}

/** Nothing was said. */
export const NO_WISH: RetentionWish = {
  keepLast: null,
  keepHourly: null,
  keepDaily: null,
  keepWeekly: null,
  keepMonthly: null,
  keepYearly: null,
  minAgeHours: null,
  zone: null,
  manual: null,
};

/** A policy that keeps nothing by a rule: so it lets nothing go either. */
export const NO_COUNTS: RetentionPolicy = {
  keepLast: 0,
  keepHourly: 0,
  keepDaily: 0,
  keepWeekly: 0,
  keepMonthly: 0,
  keepYearly: 0,
};

/** Where nobody says anything. */
const DEFAULTS: { readonly [K in keyof RetentionWish]: NonNullable<RetentionWish[K]> } = {
  ...NO_COUNTS,
  minAgeHours: 0,
  zone: 'UTC',
  manual: false,
};

/**
 * The rules of a VM: each is the VM's own, and where that says nothing the offering's. So a VM never keeps less by saying more: what it is
 * to have less of than its offering says, it says itself, down to 0.
 */
export function settleRules(vm: RetentionWish | null, offering: RetentionWish | null): RetentionRules {
  const said = <K extends keyof RetentionWish>(key: K): NonNullable<RetentionWish[K]> =>
    vm?.[key] ?? offering?.[key] ?? DEFAULTS[key];
  return {
    policy: {
      keepLast: said('keepLast'),
      keepHourly: said('keepHourly'),
      keepDaily: said('keepDaily'),
      keepWeekly: said('keepWeekly'),
      keepMonthly: said('keepMonthly'),
      keepYearly: said('keepYearly'),
    },
    minAgeHours: said('minAgeHours'),
    zone: said('zone'),
    manual: said('manual'),
  };
}
