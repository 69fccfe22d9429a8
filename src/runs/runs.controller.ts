import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../platform/page';
import { RunDto, RunLogDto, RunsQuery } from './dto/run.dto';
import { RunsService } from './runs.service';

/** Runs: attempts to take, delete or restore a backup. */
@ApiTags('runs')
@Controller('runs')
export class RunsController {
  constructor(private readonly runs: RunsService) {}

  /** Lists runs, newest first. */
  @Get()
  list(@Query() query: RunsQuery): Promise<Page<RunDto>> {
    return this.runs.list(query);
  }

  /** Shows one: its state, progress and outcome. */
  @Get(':id')
  show(@Param('id') id: string): Promise<RunDto> {
    return this.runs.show(id);
  }

  /** What the host script printed. */
  @Get(':id/log')
  log(@Param('id') id: string): Promise<RunLogDto> {
    return this.runs.log(id);
  }

  /** Asks a run to stop. It is cancelled when the host has let go of it, which its state tells. */
  @Post(':id/abort')
  @HttpCode(202)
  abort(@Param('id') id: string): Promise<RunDto> {
    return this.runs.abort(id);
  }
}
