import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiExtraModels, ApiHeader, ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { DryRunQuery } from '../platform/dry-run';
import type { Page } from '../platform/page';
import { accepted } from '../runs/accepted';
import { askedBy } from '../runs/asked-by';
import { RunDto } from '../runs/dto/run.dto';
import { BackupsService } from './backups.service';
import { ChecksumsService } from './checksums.service';
import { DeletionsService } from './deletions.service';
import { BackupDto, BackupsQuery, BackupWithEvidenceDto, CreateBackupDto, ExplanationDto, PlanDto } from './dto/backup.dto';
import { ChecksumsDto, ChecksumsQuery } from './dto/checksums.dto';
import { DeletionPlanDto, DeletionQuery } from './dto/deletion.dto';
import { ProtectDto } from './dto/protection.dto';
import { RunbookDto, RunbookQuery } from './dto/runbook.dto';
import { RunbookService } from './runbook.service';

/** Backups: restore points. */
@ApiTags('backups')
@ApiExtraModels(PlanDto, DeletionPlanDto)
@Controller('backups')
export class BackupsController {
  constructor(
    private readonly backups: BackupsService,
    private readonly deletions: DeletionsService,
    private readonly runbooks: RunbookService,
    private readonly checksums: ChecksumsService,
  ) {}

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
    const asked = askedBy(key, trigger);
    if (dryRun) {
      response.status(200);
      return this.backups.plan(body);
    }
    return accepted(response, await this.backups.create(body, asked));
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

  /** Writes down how to restore it by hand, with mount and qemu-img alone: for the day when this service is gone. */
  @Get(':id/runbook')
  runbook(@Param('id') id: string, @Query() query: RunbookQuery): Promise<RunbookDto> {
    return this.runbooks.write(id, query);
  }

  /** Says what lies beside the files of one: a manifest, checksums, and whether the files still agree with these. */
  @Get(':id/checksums')
  showChecksums(@Param('id') id: string): Promise<ChecksumsDto> {
    return this.checksums.show(id);
  }

  /**
   * Lets a host read its files back, slowly, to take their checksums or to compare with them: answers 202; the same address tells how
   * it went. Files that differ make it `broken`.
   */
  @Post(':id/checksums')
  @HttpCode(202)
  takeChecksums(@Param('id') id: string, @Query() { verify = false }: ChecksumsQuery): Promise<ChecksumsDto> {
    return this.checksums.take(id, verify);
  }

  /**
   * Deletes one: answers 202 with the run to follow, or with `dryRun=true` what would go. A link that others stand on is hidden, and
   * its files go with the last of those.
   */
  @Delete(':id')
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'The same key again answers with the same run.' })
  @ApiAcceptedResponse({ type: RunDto, description: 'Written down as a run; Location leads to it.' })
  @ApiOkResponse({ type: DeletionPlanDto, description: 'With dryRun=true: what would go, in which order, and what is lost.' })
  async remove(
    @Param('id') id: string,
    @Query() { dryRun, forced = false, acceptLoss = false }: DeletionQuery,
    @Headers('idempotency-key') key: string | undefined,
    @Headers('x-chainkeeper-trigger') trigger: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RunDto | DeletionPlanDto> {
    const asked = askedBy(key, trigger);
    if (dryRun) {
      response.status(200);
      return this.deletions.plan(id, { forced, acceptLoss });
    }
    return accepted(response, await this.deletions.create(id, { forced, acceptLoss }, asked));
  }

  /** Says that one must stay: nothing deletes it until then, retention and `forced` included. */
  @Put(':id/protection')
  @HttpCode(200)
  async protect(@Param('id') id: string, @Body() body: ProtectDto): Promise<BackupWithEvidenceDto> {
    await this.deletions.protect(id, body);
    return this.backups.show(id);
  }

  /** Takes that back. */
  @Delete(':id/protection')
  @HttpCode(200)
  async unprotect(@Param('id') id: string): Promise<BackupWithEvidenceDto> {
    await this.deletions.unprotect(id);
    return this.backups.show(id);
  }
}
