import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { RepositoryCheckDto, RepositoryCheckQuery } from './dto/check.dto';
import { RepositoryCheckService } from './repository-check.service';

/** The upkeep of repositories. */
@ApiTags('repositories')
@Controller('repositories')
export class RepositoryCheckController {
  constructor(private readonly checks: RepositoryCheckService) {}

  /** Tries from a host what a backup will ask of a repository: each finding with what, why it matters and what mends it. What it writes there it takes away. */
  @Get(':id/check')
  check(@Param('id') id: string, @Query() { host }: RepositoryCheckQuery): Promise<RepositoryCheckDto> {
    return this.checks.check(id, host);
  }
}
