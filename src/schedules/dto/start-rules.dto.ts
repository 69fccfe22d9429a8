import { ArrayMaxSize, IsArray, IsIn, IsString, MaxLength } from 'class-validator';
import { Optional } from '../../platform/optional';

/** When backups may start, in place of all that was said before. */
export class StartRulesWishDto {
  /** Times of the day, such as `22:00-06:00` or `sat,sun 00:00-24:00`; none (default): any time. */
  @Optional()
  @IsArray()
  @ArrayMaxSize(50)
  @IsString({ each: true })
  @MaxLength(100, { each: true })
  windows?: string[];

  /** Days without backups, such as `2026-12-24` or `2026-12-24..2026-12-26`. */
  @Optional()
  @IsArray()
  @ArrayMaxSize(200)
  @IsString({ each: true })
  @MaxLength(100, { each: true })
  blackouts?: string[];

  /** IANA name of the time zone that all of it is meant in. Default: UTC. */
  @Optional()
  @IsString()
  @MaxLength(64)
  zone?: string;

  /** What becomes of a backup that goes on when its window closes: it may `finish` (default), or the service has it `stop`. */
  @Optional()
  @IsIn(['finish', 'stop'])
  atEnd?: 'finish' | 'stop';
}

/** When backups may start, as somebody said. */
export class StartRulesDto {
  /** Times of the day; none: any time. */
  windows!: string[];
  /** Days without backups. */
  blackouts!: string[];
  /** IANA name of the time zone. */
  zone!: string;
  /** `finish` or `stop`. */
  atEnd!: string;
  /** When it was said, RFC 3339 UTC; null: nobody did, and backups start at any time. */
  changed!: string | null;
}
