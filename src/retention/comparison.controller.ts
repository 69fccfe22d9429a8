import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ComparisonService } from './comparison.service';
import { ComparedDto, NotComparedDto } from './dto/comparison.dto';

/** Books that were brought back from a copy. */
@ApiTags('retention')
@Controller('books')
export class ComparisonController {
  constructor(private readonly comparison: ComparisonService) {}

  /** Lists the VMs whose books were brought back from a copy and not compared with the NAS since: nothing of their backups is deleted. */
  @Get('not-compared')
  list(): Promise<NotComparedDto[]> {
    return this.comparison.list();
  }

  /** Says that they were compared, of one VM or of all: what may be deleted is deleted again. Answers with those that it holds for. */
  @Post('compared')
  @HttpCode(200)
  compared(@Body() body: ComparedDto): Promise<NotComparedDto[]> {
    return this.comparison.compared(body);
  }
}
