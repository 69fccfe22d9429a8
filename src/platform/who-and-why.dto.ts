import { IsString, MaxLength, MinLength } from 'class-validator';
import { SaysSomething } from './says-something';

/** Something that somebody answers for. */
export class WhoAndWhyDto {
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
