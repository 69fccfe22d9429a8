import { Body, Controller, Get, Headers, Param, Post, Query, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiExtraModels, ApiHeader, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { UserError } from '../domain/errors';
import { DryRunQuery } from '../platform/dry-run';
import type { Page } from '../platform/page';
import { RunDto } from '../runs/dto/run.dto';
import { BackupsService } from './backups.service';
import { BackupDto, BackupsQuery, BackupWithEvidenceDto, CreateBackupDto, ExplanationDto, PlanDto } from './dto/backup.dto';

/** Backups: restore points. */
@ApiTags('backups')
@ApiExtraModels(PlanDto)
@Controller('backups')
export class BackupsController {
  constructor(private readonly backups: BackupsService) {}

  /** Takes a backup now: answers 202 with the run to follow, or with `dryRun=true` the plan and its reason. */
  @Post()
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'The same key again answers with the same run.' })
  @ApiAcceptedResponse({ type: RunDto, description: 'Written down as a run; Location leads to it.' })
  @ApiOkResponse({ type: PlanDto, description: 'With dryRun=true: what a run would do now, and why.' })
  async create(
    @Body() body: CreateBackupDto,
    @Query() { dryRun }: DryRunQuery,
    @Headers('idempotency-key') key: string | undefined,
    @Headers('x-chainkeeper-trigger') trigger: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RunDto | PlanDto> {
    if (key !== undefined && !/^[\x21-\x7e]{1,255}$/.test(key))
      throw new UserError('request.idempotency-key', 'invalid', 'The Idempotency-Key is not 1 to 255 visible ASCII characters.');
    if (dryRun) {
      response.status(200);
      return this.backups.plan(body);
    }
    const run = await this.backups.create(body, { idempotencyKey: key, trigger: trigger === 'cli' ? 'cli' : 'rest' });
    response.status(202).location(`/api/v1/runs/${run.id}`);
    return run;
  }

  /** Lists backups, newest first. */
  @Get()
  list(@Query() query: BackupsQuery): Promise<Page<BackupDto>> {
    return this.backups.list(query);
  }

  /** Shows one with its chain keys, reason and evidence. */
  @Get(':id')
  show(@Param('id') id: string): Promise<BackupWithEvidenceDto> {
    return this.backups.show(id);
  }

  /** Says why it was full or incremental, why it was this large, and how we know. */
  @Get(':id/explain')
  explain(@Param('id') id: string): Promise<ExplanationDto> {
    return this.backups.explain(id);
  }
}
