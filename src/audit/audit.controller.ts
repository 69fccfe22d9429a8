import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiProduces, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import type { RecreationRow } from '../domain/audit/recreation-report';
import { AuditService } from './audit.service';
import { RecreationsQuery } from './dto/recreation.dto';

/** Reports for auditors. */
@ApiTags('audit')
@Controller('audit')
export class AuditController {
  constructor(private readonly audit: AuditService) {}

  /** Each incremental with its size against the usual, restarts since the parent, recreation event, reason and assurance. */
  @Get('recreations')
  @ApiProduces('application/json', 'text/csv')
  async recreations(
    @Query() query: RecreationsQuery,
    @Res({ passthrough: true }) response: Response,
  ): Promise<{ items: RecreationRow[] } | string> {
    const items = await this.audit.recreations(query);
    if (query.format !== 'csv') return { items };
    response.type('text/csv; charset=utf-8');
    return this.audit.toCsv(items);
  }
}
