import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { RetentionPlanDto, RetentionQuery } from './dto/retention.dto';
import { RetentionService } from './retention.service';

/** Which restore points are kept. */
@ApiTags('vms')
@Controller('vms')
export class RetentionController {
  constructor(private readonly retention: RetentionService) {}

  /** Says what a policy would let go today, and why each other point stays. Changes nothing. */
  @Get(':id/retention')
  plan(@Param('id') id: string, @Query() query: RetentionQuery): Promise<RetentionPlanDto> {
    return this.retention.plan(id, query);
  }
}
