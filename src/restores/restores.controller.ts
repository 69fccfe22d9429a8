import { Body, Controller, Get, Headers, Param, Post, Query, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiExtraModels, ApiHeader, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { DryRunQuery } from '../platform/dry-run';
import type { Page } from '../platform/page';
import { accepted } from '../runs/accepted';
import { askedBy } from '../runs/asked-by';
import { RunDto } from '../runs/dto/run.dto';
import { CreateRestoreDto } from './dto/create-restore.dto';
import { RestoreDto, RestorePlanDto, RestoresQuery } from './dto/restore.dto';
import { RestoresService } from './restores.service';

/** Restores: getting data back. */
@ApiTags('restores')
@ApiExtraModels(RestorePlanDto)
@Controller('restores')
export class RestoresController {
  constructor(private readonly restores: RestoresService) {}

  /**
   * Restores a point: answers 202 with the run to follow, or with `dryRun=true` what would go where, and what the point is worth. Every
   * disk is compared with its chain before it gets its place; in place all are swapped, or none.
   */
  @Post()
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'The same key again answers with the same run.' })
  @ApiAcceptedResponse({ type: RunDto, description: 'Written down as a run; Location leads to it.' })
  @ApiOkResponse({ type: RestorePlanDto, description: 'With dryRun=true: what would go where, and what it is worth.' })
  async create(
    @Body() body: CreateRestoreDto,
    @Query() { dryRun }: DryRunQuery,
    @Headers('idempotency-key') key: string | undefined,
    @Headers('x-chainkeeper-trigger') trigger: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RunDto | RestorePlanDto> {
    const asked = askedBy(key, trigger);
    if (dryRun) {
      response.status(200);
      return this.restores.plan(body);
    }
    return accepted(response, await this.restores.create(body, asked));
  }

  /** Lists restores, newest first. */
  @Get()
  list(@Query() query: RestoresQuery): Promise<Page<RestoreDto>> {
    return this.restores.list(query);
  }

  /** Shows one: what was planned, who took it for what it was worth, and whether every disk was the same. */
  @Get(':id')
  show(@Param('id') id: string): Promise<RestoreDto> {
    return this.restores.show(id);
  }
}
