import { IsISO8601, IsString, MaxLength, MinLength } from 'class-validator';
import { Optional } from '../../platform/optional';
import { SaysSomething } from '../../platform/says-something';

/** Why a backup must stay. */
export class ProtectDto {
  /** Until when, RFC 3339; left out: until it is taken back. */
  @Optional()
  @IsISO8601({ strict: true })
  until?: string;

  /** Who says so. */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  @SaysSomething()
  by!: string;

  /** Why, for whoever meets it later. */
  @IsString()
  @MinLength(1)
  @MaxLength(1000)
  @SaysSomething()
  why!: string;
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
