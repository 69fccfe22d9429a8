/** When something recurs. CloudStack's notation is turned into a cron pattern, so that there is one way to compute. */
export interface Recurrence {
  /** Five parts: minute, hour, day of the month, month, day of the week. */
  readonly cron: string;
  /**
   * At set times: neither minute nor hour has a wildcard or a step. Such a time is run once a day whatever the clocks do; all others go by
   * what the clocks show.
   */
  readonly fixed: boolean;
}
