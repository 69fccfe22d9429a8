/** CloudStack's kinds of schedule, in the order of their numbers in `schedule_type`. */
export const INTERVALS = ['hourly', 'daily', 'weekly', 'monthly'] as const;
/** One of them. */
export type Interval = (typeof INTERVALS)[number];
