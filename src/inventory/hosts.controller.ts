import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Page, PageQuery } from '../platform/page';
import { DryRunQuery } from '../platform/dry-run';
import { CreateHostDto, HostDto, InstallHostDto, InstalledScriptDto, UpdateHostDto } from './dto/host.dto';
import { HostsService } from './hosts.service';

/** Hypervisors, and how they are reached. */
@ApiTags('hosts')
@Controller('hosts')
export class HostsController {
  constructor(private readonly hosts: HostsService) {}

  /** Adds one. */
  @Post()
  create(@Body() body: CreateHostDto): Promise<HostDto> {
    return this.hosts.create(body);
  }

  /** Lists them, newest first. */
  @Get()
  list(@Query() page: PageQuery): Promise<Page<HostDto>> {
    return this.hosts.list(page);
  }

  /** Shows one, by id or name. */
  @Get(':id')
  show(@Param('id') id: string): Promise<HostDto> {
    return this.hosts.show(id);
  }

  /** Changes one, by id or name. */
  @Patch(':id')
  update(@Param('id') id: string, @Body() body: UpdateHostDto): Promise<HostDto> {
    return this.hosts.update(id, body);
  }

  /** Removes one; refused while something depends on it. */
  @Delete(':id')
  @HttpCode(204)
  remove(@Param('id') id: string): Promise<void> {
    return this.hosts.remove(id);
  }

  /** Puts the host script on a host; with `dryRun=true` only says what would be done. */
  @Post(':id/install')
  @HttpCode(200)
  install(@Param('id') id: string, @Query() { dryRun }: DryRunQuery, @Body() body: InstallHostDto): Promise<InstalledScriptDto> {
    return this.hosts.install(id, body, dryRun ?? false);
  }
}
