import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Page, PageQuery } from '../platform/page';
import { AssignOfferingDto, CreateVmDto, VmDto, UpdateVmDto } from './dto/vm.dto';
import { ResizeDiskDto, ResizeDto, ResizesDto } from './dto/resize.dto';
import { VmsService } from './vms.service';

/** Virtual machines in our care. */
@ApiTags('vms')
@Controller('vms')
export class VmsController {
  constructor(private readonly vms: VmsService) {}

  /** Adds one. */
  @Post()
  create(@Body() body: CreateVmDto): Promise<VmDto> {
    return this.vms.create(body);
  }

  /** Lists them, newest first. */
  @Get()
  list(@Query() page: PageQuery): Promise<Page<VmDto>> {
    return this.vms.list(page);
  }

  /** Shows one, by id or name. */
  @Get(':id')
  show(@Param('id') id: string): Promise<VmDto> {
    return this.vms.show(id);
  }

  /** Changes one, by id or name. */
  @Patch(':id')
  update(@Param('id') id: string, @Body() body: UpdateVmDto): Promise<VmDto> {
    return this.vms.update(id, body);
  }

  /** Removes one; refused while something depends on it. */
  @Delete(':id')
  @HttpCode(204)
  remove(@Param('id') id: string): Promise<void> {
    return this.vms.remove(id);
  }

  /** Gives a VM an offering. Its active checkpoint is cleared, so the next backup is a full. */
  @Put(':id/offering')
  assign(@Param('id') id: string, @Body() { offering }: AssignOfferingDto): Promise<VmDto> {
    return this.vms.assign(id, offering);
  }

  /** Takes the offering from a VM. Its backups stay, its active checkpoint is cleared. */
  @Delete(':id/offering')
  unassign(@Param('id') id: string): Promise<VmDto> {
    return this.vms.unassign(id);
  }

  /**
   * Tells the books that the size of a disk was changed. A disk that grew alone goes on with incrementals; one that shrank gets a full, also when
   * it grew back, which no look could show. Told twice in a row, it is once. Codes: `disk.not-found`, `disk.same-size`.
   */
  @Post(':id/resizes')
  resized(@Param('id') id: string, @Body() body: ResizeDiskDto): Promise<ResizeDto> {
    return this.vms.resized(id, body);
  }

  /** What we were told about the sizes of its disks, oldest first. */
  @Get(':id/resizes')
  resizes(@Param('id') id: string): Promise<ResizesDto> {
    return this.vms.resizesOf(id);
  }
}
