import { IsString, Matches, MaxLength } from 'class-validator';
import { Optional } from '../../platform/optional';

/** What to restore it to. */
export class RunbookQuery {
  /** Directory that the files go to, absolute; made when it is not there. */
  @Optional()
  @MaxLength(1024)
  @Matches(/^\/[^\p{Cc}]*$/u)
  to?: string;

  /** A VM of this name is made of it and started, without network. */
  @Optional()
  @IsString()
  @MaxLength(127)
  newName?: string;
}

/** How to restore one point by hand. */
export class RunbookDto {
  /** Backup (uuid). */
  backupId!: string;
  /** A script for /bin/sh, line by line. */
  lines!: string[];
}
