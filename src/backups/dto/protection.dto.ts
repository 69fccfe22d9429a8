import { IsISO8601 } from 'class-validator';
import { WhoAndWhyDto } from '../../platform/who-and-why.dto';
import { Optional } from '../../platform/optional';

/** Why a backup must stay. */
export class ProtectDto extends WhoAndWhyDto {
  /** Until when, RFC 3339; left out: until it is taken back. */
  @Optional()
  @IsISO8601({ strict: true })
  until?: string;
}

/** Somebody said that a backup must stay. */
export class ProtectionDto {
  /** RFC 3339 UTC; null: until it is taken back. */
  until!: string | null;
  /** Who says so. */
  by!: string;
  /** Why. */
  why!: string;
}
