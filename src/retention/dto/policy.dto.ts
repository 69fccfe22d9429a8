import { Transform, Type } from 'class-transformer';
import { IsBoolean, IsInt, IsTimeZone, Max, MaxLength, Min } from 'class-validator';
import { Optional } from '../../platform/optional';

/** How many restore points are kept; where nothing but zeroes is said, a policy keeps all. What is left out: nothing is said of it. */
export class RetentionWishDto {
  /** The newest. */
  @Count()
  keepLast?: number;

  /** One an hour. */
  @Count()
  keepHourly?: number;

  /** One a day. */
  @Count()
  keepDaily?: number;

  /** One a week (ISO 8601). */
  @Count()
  keepWeekly?: number;

  /** One a month. */
  @Count()
  keepMonthly?: number;

  /** One a year. */
  @Count()
  keepYearly?: number;

  /** Hours; what is younger stays. */
  @Count()
  minAgeHours?: number;

  /** Time zone (IANA) that days and weeks begin in; default UTC. */
  @Optional()
  @IsTimeZone()
  @MaxLength(64)
  zone?: string;

  /** Backups that somebody asked for count as well; by default they take nobody's place and stay. */
  @Optional()
  @Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : (value as unknown)))
  @IsBoolean()
  manual?: boolean;
}

function Count(): PropertyDecorator {
  return (target, key) => {
    for (const decorate of [Optional(), Type(() => Number), IsInt(), Min(0), Max(100_000)]) decorate(target, key);
  };
}

/** The rules that hold. */
export class RetentionRulesDto {
  /** The newest. */
  keepLast!: number;
  /** One an hour. */
  keepHourly!: number;
  /** One a day. */
  keepDaily!: number;
  /** One a week (ISO 8601). */
  keepWeekly!: number;
  /** One a month. */
  keepMonthly!: number;
  /** One a year. */
  keepYearly!: number;
  /** Hours; what is younger stays. */
  minAgeHours!: number;
  /** Time zone that days and weeks begin in. */
  zone!: string;
  /** Whether backups that somebody asked for count as well. */
  manual!: boolean;
}

/** By what restore points are kept, as somebody said for an offering or a VM; null: nothing was said of it. */
export class RetentionPolicyDto {
  /** The newest. */
  keepLast!: number | null;
  /** One an hour. */
  keepHourly!: number | null;
  /** One a day. */
  keepDaily!: number | null;
  /** One a week (ISO 8601). */
  keepWeekly!: number | null;
  /** One a month. */
  keepMonthly!: number | null;
  /** One a year. */
  keepYearly!: number | null;
  /** Hours; what is younger stays. */
  minAgeHours!: number | null;
  /** Time zone that days and weeks begin in. */
  zone!: string | null;
  /** Whether backups that somebody asked for count as well. */
  manual!: boolean | null;
  /** When it was said, RFC 3339 UTC; null: nothing was. */
  changed!: string | null;
  /** What holds: each rule by the VM, where that says nothing by its offering, else the default. */
  holds!: RetentionRulesDto;
}
