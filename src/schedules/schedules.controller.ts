import { Body, Controller, Delete, Get, Header, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../platform/page';
import { drawLoad } from './draw-load';
import { PreviewDto, PreviewQuery } from './dto/preview.dto';
import { CreateScheduleDto, PauseScheduleDto, ScheduleDto, SchedulesQuery, UpdateScheduleDto } from './dto/schedule.dto';
import { PreviewService } from './preview.service';
import { SchedulesService } from './schedules.service';

/** When VMs are backed up. */
@ApiTags('schedules')
@Controller('schedules')
export class SchedulesController {
  constructor(
    private readonly schedules: SchedulesService,
    private readonly previews: PreviewService,
  ) {}

  /** Adds one, of a VM or of an offering. */
  @Post()
  create(@Body() body: CreateScheduleDto): Promise<ScheduleDto> {
    return this.schedules.create(body);
  }

  /** Lists them, newest first. */
  @Get()
  list(@Query() query: SchedulesQuery): Promise<Page<ScheduleDto>> {
    return this.schedules.list(query);
  }

  /** Says which backups come next, of a VM, an offering or all, and what they come to by hour and host. */
  @Get('preview')
  preview(@Query() query: PreviewQuery): Promise<PreviewDto> {
    return this.previews.preview(query);
  }

  /** Draws the load of them: SVG. */
  @Get('preview.svg')
  @Header('content-type', 'image/svg+xml')
  async draw(@Query() query: PreviewQuery): Promise<string> {
    return drawLoad((await this.previews.preview(query)).load);
  }

  /** Shows one. */
  @Get(':id')
  show(@Param('id') id: string): Promise<ScheduleDto> {
    return this.schedules.show(id);
  }

  /** Changes one from now on; a run that it has made goes on. */
  @Patch(':id')
  update(@Param('id') id: string, @Body() body: UpdateScheduleDto): Promise<ScheduleDto> {
    return this.schedules.update(id, body);
  }

  /** Nothing comes of it until it is resumed. */
  @Post(':id/pause')
  @HttpCode(200)
  pause(@Param('id') id: string, @Body() { why }: PauseScheduleDto): Promise<ScheduleDto> {
    return this.schedules.pause(id, why ?? null);
  }

  /** Lets it go on, from now: what it named meanwhile is not made up for. */
  @Post(':id/resume')
  @HttpCode(200)
  resume(@Param('id') id: string): Promise<ScheduleDto> {
    return this.schedules.resume(id);
  }

  /** Removes one. The runs that it has made stay. */
  @Delete(':id')
  @HttpCode(204)
  remove(@Param('id') id: string): Promise<void> {
    return this.schedules.remove(id);
  }
}
