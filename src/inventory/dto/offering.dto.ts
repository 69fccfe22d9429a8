import { IsBoolean, IsInt, IsOptional, IsString, Max, MaxLength, Min, MinLength } from 'class-validator';

/** A backup offering to add: where backups go, and how. */
export class CreateOfferingDto {
  /** Name, unique among offerings. */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  name!: string;

  /** Repository (id or name) that its backups are written to. */
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  repository!: string;

  /** For people. */
  @IsOptional()
  @IsString()
  @MaxLength(255)
  description?: string;

  /** Links in a chain, the full included, before the next full; 1: every backup is a full. CloudStack's `nas.backup.full.every`. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(1000)
  fullEvery?: number;

  /** Whether incrementals are taken at all. CloudStack's `nas.backup.incremental.enabled`. */
  @IsOptional()
  @IsBoolean()
  incrementalEnabled?: boolean;
}

/** A change to an offering. The repository stays: chains lie there. */
export class UpdateOfferingDto {
  /** New name. */
  @IsOptional()
  @IsString()
  @MinLength(1)
  @MaxLength(255)
  name?: string;

  /** For people. */
  @IsOptional()
  @IsString()
  @MaxLength(255)
  description?: string;

  /** Links in a chain before the next full. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(1000)
  fullEvery?: number;

  /** Whether incrementals are taken at all. */
  @IsOptional()
  @IsBoolean()
  incrementalEnabled?: boolean;
}

/** An offering as the books know it. */
export class OfferingDto {
  /** Identifier (uuid). */
  id!: string;
  /** Name. */
  name!: string;
  /** For people. */
  description!: string;
  /** Repository that it points at (uuid). */
  repositoryId!: string;
  /** Links in a chain before the next full. */
  fullEvery!: number;
  /** Whether incrementals are taken. */
  incrementalEnabled!: boolean;
}
