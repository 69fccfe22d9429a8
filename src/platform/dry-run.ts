import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean } from 'class-validator';
import { Optional } from './optional';

/** Whether to do it or only to say what would be done. */
export class DryRunQuery {
  @ApiPropertyOptional({ description: 'true: say what would be done and change nothing.' })
  @Optional()
  @Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : (value as unknown)))
  @IsBoolean()
  dryRun?: boolean;
}
