import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { DryRunQuery } from '../platform/dry-run';
import { CheckService } from './check.service';
import { HostCheckDto } from './dto/check.dto';
import { SweepDto } from './dto/sweep.dto';
import { SweepService } from './sweep.service';

/** The upkeep of hosts. */
@ApiTags('hosts')
@Controller('hosts')
export class UpkeepController {
  constructor(
    private readonly sweeps: SweepService,
    private readonly checks: CheckService,
  ) {}

  /** Says whether a host is ready: each finding with what, why it matters and what mends it. Writes a few small files to each repository and takes them away. */
  @Get(':id/check')
  check(@Param('id') id: string): Promise<HostCheckDto> {
    return this.checks.check(id);
  }

  /** Removes what runs left behind on a host and in the repositories of its VMs, where that is safe; tells the rest. */
  @Post(':id/sweep')
  @HttpCode(200)
  sweep(@Param('id') id: string, @Query() { dryRun }: DryRunQuery): Promise<SweepDto> {
    return this.sweeps.sweep(id, dryRun ?? false);
  }
}
