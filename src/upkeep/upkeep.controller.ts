import { Controller, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { DryRunQuery } from '../platform/dry-run';
import { SweepDto } from './dto/sweep.dto';
import { SweepService } from './sweep.service';

/** The upkeep of hosts. */
@ApiTags('hosts')
@Controller('hosts')
export class UpkeepController {
  constructor(private readonly sweeps: SweepService) {}

  /** Removes what runs left behind on a host and in the repositories of its VMs, where that is safe; tells the rest. */
  @Post(':id/sweep')
  @HttpCode(200)
  sweep(@Param('id') id: string, @Query() { dryRun }: DryRunQuery): Promise<SweepDto> {
    return this.sweeps.sweep(id, dryRun ?? false);
  }
}
