import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../platform/page';
import { CoverageService } from './coverage.service';
import { CoverageDto, CoverageQuery } from './dto/coverage.dto';

/** How well VMs are protected. */
@ApiTags('coverage')
@Controller('coverage')
export class CoverageController {
  constructor(private readonly coverage: CoverageService) {}

  /** Lists VMs, newest first: whether each and each of its disks is protected as its schedules promise, and why not. */
  @Get()
  list(@Query() query: CoverageQuery): Promise<Page<CoverageDto>> {
    return this.coverage.list(query);
  }
}
