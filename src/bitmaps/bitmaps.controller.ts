import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { DryRunQuery } from '../platform/dry-run';
import { BitmapsService } from './bitmaps.service';
import { BitmapsDto } from './dto/bitmap.dto';
import { ReleaseDto } from './dto/release.dto';

/** The bitmaps on a VM. */
@ApiTags('vms')
@Controller('vms')
export class BitmapsController {
  constructor(private readonly bitmaps: BitmapsService) {}

  /** Shows every bitmap on a VM as its host has it now: whose it is, how it is, and what to do about it. */
  @Get(':id/bitmaps')
  list(@Param('id') id: string): Promise<BitmapsDto> {
    return this.bitmaps.list(id);
  }

  /** Takes all our bitmaps off a VM, before an internal snapshot is reverted or when it leaves. Its next backup is a full. */
  @Post(':id/release')
  @HttpCode(200)
  release(@Param('id') id: string, @Query() { dryRun }: DryRunQuery): Promise<ReleaseDto> {
    return this.bitmaps.release(id, dryRun ?? false);
  }
}
