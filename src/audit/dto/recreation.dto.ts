import { IsDateString, IsIn, IsOptional, IsString, MaxLength } from 'class-validator';

/** What the report is about, and its form. */
export class RecreationsQuery {
  /** VM (id or name); left out: all. */
  @IsOptional()
  @IsString()
  @MaxLength(255)
  vm?: string;

  /** Backups finished at or after this moment, RFC 3339. */
  @IsOptional()
  @IsDateString()
  since?: string;

  /** `json` (default) or `csv`. */
  @IsOptional()
  @IsIn(['json', 'csv'])
  format?: 'json' | 'csv';
}
