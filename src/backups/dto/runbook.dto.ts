import { Matches, MaxLength } from 'class-validator';
import { Optional } from '../../platform/optional';

/** Where to restore to. */
export class RunbookQuery {
  /** Directory that the files go to, absolute; made when it is not there. */
  @Optional()
  @MaxLength(1024)
  @Matches(/^\/[^\p{Cc}]*$/u)
  to?: string;
}

/** How to restore one point by hand. */
export class RunbookDto {
  /** Backup (uuid). */
  backupId!: string;
  /** A script for /bin/sh, line by line. */
  lines!: string[];
}
