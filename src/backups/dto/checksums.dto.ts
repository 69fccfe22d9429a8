import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean } from 'class-validator';
import { Optional } from '../../platform/optional';

/** What to do with the checksums. */
export class ChecksumsQuery {
  @ApiPropertyOptional({
    description: 'true: compare the files with the checksums that are there; else take them, where there are none.',
  })
  @Optional()
  @Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : (value as unknown)))
  @IsBoolean()
  verify?: boolean;
}

/** What lies beside the files of a backup. */
export class ChecksumsDto {
  backupId!: string;
  /** When its manifest was written; null: it has none yet. */
  manifest!: string | null;
  /** When its checksums were taken; null: they were not, and a restore says that nothing was hashed. */
  hashed!: string | null;
  /** When its files were last compared with them. */
  verified!: string | null;
  /** The files that differed then, or when they were read for a restore. */
  damaged!: string[];
  /** The files that were not there when somebody last looked. */
  missing!: string[];
  /** What a host is reading its files for now; null: for nothing. */
  reading!: 'hash' | 'verify' | null;
  /** Why the last attempt came to nothing. */
  whyNot!: string | null;
}
