import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { type Page, PageQuery } from '../platform/page';
import { CreateRepositoryDto, RepositoryDto, UpdateRepositoryDto } from './dto/repository.dto';
import { RepositoriesService } from './repositories.service';

/** NAS exports that backups are written to. */
@ApiTags('repositories')
@Controller('repositories')
export class RepositoriesController {
  constructor(private readonly repositories: RepositoriesService) {}

  /** Adds one. */
  @Post()
  create(@Body() body: CreateRepositoryDto): Promise<RepositoryDto> {
    return this.repositories.create(body);
  }

  /** Lists them, newest first. */
  @Get()
  list(@Query() page: PageQuery): Promise<Page<RepositoryDto>> {
    return this.repositories.list(page);
  }

  /** Shows one, by id or name. */
  @Get(':id')
  show(@Param('id') id: string): Promise<RepositoryDto> {
    return this.repositories.show(id);
  }

  /** Changes one, by id or name. */
  @Patch(':id')
  update(@Param('id') id: string, @Body() body: UpdateRepositoryDto): Promise<RepositoryDto> {
    return this.repositories.update(id, body);
  }

  /** Removes one; refused while something depends on it. */
  @Delete(':id')
  @HttpCode(204)
  remove(@Param('id') id: string): Promise<void> {
    return this.repositories.remove(id);
  }
}
