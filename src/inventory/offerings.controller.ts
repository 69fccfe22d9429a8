import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Page, PageQuery } from '../platform/page';
import { CreateOfferingDto, OfferingDto, UpdateOfferingDto } from './dto/offering.dto';
import { OfferingsService } from './offerings.service';

/** Backup offerings: where backups go, and how. */
@ApiTags('offerings')
@Controller('offerings')
export class OfferingsController {
  constructor(private readonly offerings: OfferingsService) {}

  /** Adds one. */
  @Post()
  create(@Body() body: CreateOfferingDto): Promise<OfferingDto> {
    return this.offerings.create(body);
  }

  /** Lists them, newest first. */
  @Get()
  list(@Query() page: PageQuery): Promise<Page<OfferingDto>> {
    return this.offerings.list(page);
  }

  /** Shows one, by id or name. */
  @Get(':id')
  show(@Param('id') id: string): Promise<OfferingDto> {
    return this.offerings.show(id);
  }

  /** Changes one, by id or name. */
  @Patch(':id')
  update(@Param('id') id: string, @Body() body: UpdateOfferingDto): Promise<OfferingDto> {
    return this.offerings.update(id, body);
  }

  /** Removes one; refused while something depends on it. */
  @Delete(':id')
  @HttpCode(204)
  remove(@Param('id') id: string): Promise<void> {
    return this.offerings.remove(id);
  }
}
