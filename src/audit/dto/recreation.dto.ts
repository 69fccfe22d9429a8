import { IsDateString, IsIn, IsString, MaxLength } from 'class-validator';
import { Optional } from '../../platform/optional';

/** What the report is about, and its form. */
export class RecreationsQuery {
  /** VM (id or name); left out: all. */
  @Optional()
  @IsString()
  @MaxLength(255)
  vm?: string;

  /** Backups finished at or after this moment, RFC 3339. */
  @Optional()
  @IsDateString()
  since?: string;

  /** `json` (default) or `csv`. */
  @Optional()
  @IsIn(['json', 'csv'])
  format?: 'json' | 'csv';
}
