import { Body, Controller, Delete, Get, Param, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { DryRunQuery } from '../platform/dry-run';
import { BeginMaintenanceDto, MaintenanceDto } from './dto/maintenance.dto';
import { MaintenanceService } from './maintenance.service';

/** Maintenance of hosts and repositories: no run begins there until it is over. */
@ApiTags('maintenance')
@Controller()
export class MaintenanceController {
  constructor(private readonly maintenance: MaintenanceService) {}

  /** Shows whether a host is in maintenance, which runs still go on there, and which wait. */
  @Get('hosts/:id/maintenance')
  ofHost(@Param('id') id: string): Promise<MaintenanceDto> {
    return this.maintenance.show('host', id);
  }

  /** Begins it. Said again, it stays and what is said changes; with `abort` runs that still go on are asked to stop. */
  @Put('hosts/:id/maintenance')
  beginOfHost(
    @Param('id') id: string,
    @Query() { dryRun }: DryRunQuery,
    @Body() body: BeginMaintenanceDto,
  ): Promise<MaintenanceDto> {
    return this.maintenance.begin('host', id, body, dryRun ?? false);
  }

  /** Ends what was said here: what waits begins. */
  @Delete('hosts/:id/maintenance')
  endOfHost(@Param('id') id: string, @Query() { dryRun }: DryRunQuery): Promise<MaintenanceDto> {
    return this.maintenance.end('host', id, dryRun ?? false);
  }

  /** Shows whether a repository is in maintenance, which runs still go on there, and which wait. */
  @Get('repositories/:id/maintenance')
  ofRepository(@Param('id') id: string): Promise<MaintenanceDto> {
    return this.maintenance.show('repository', id);
  }

  /** Begins it, as for a host. */
  @Put('repositories/:id/maintenance')
  beginOfRepository(
    @Param('id') id: string,
    @Query() { dryRun }: DryRunQuery,
    @Body() body: BeginMaintenanceDto,
  ): Promise<MaintenanceDto> {
    return this.maintenance.begin('repository', id, body, dryRun ?? false);
  }

  /** Ends it: what waits begins. */
  @Delete('repositories/:id/maintenance')
  endOfRepository(@Param('id') id: string, @Query() { dryRun }: DryRunQuery): Promise<MaintenanceDto> {
    return this.maintenance.end('repository', id, dryRun ?? false);
  }
}
