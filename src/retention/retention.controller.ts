import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { RunDto } from '../runs/dto/run.dto';
import { RetentionPolicyDto, RetentionWishDto } from './dto/policy.dto';
import { ApplyRetentionDto, RetentionPlanDto, RetentionQuery } from './dto/retention.dto';
import { SimulationDto, SimulationQuery } from './dto/simulation.dto';
import { PoliciesService } from './policies.service';
import { RetentionService } from './retention.service';

/** Which restore points are kept. */
@ApiTags('retention')
@Controller()
export class RetentionController {
  constructor(
    private readonly retention: RetentionService,
    private readonly policies: PoliciesService,
  ) {}

  /** Says what a policy would let go today, and why each other point stays; without options the VM's own. Changes nothing. */
  @Get('vms/:id/retention')
  plan(@Param('id') id: string, @Query() query: RetentionQuery): Promise<RetentionPlanDto> {
    return this.retention.plan(id, query);
  }

  /** Says what the rules would come to on the VM's real chains, day by day, if backups go on: points, bytes, gaps, fulls. Changes nothing. */
  @Get('vms/:id/retention/simulation')
  simulate(@Param('id') id: string, @Query() query: SimulationQuery): Promise<SimulationDto> {
    return this.retention.simulate(id, query);
  }

  /** Carries out the plan that was shown: answers 202 with the run to follow. A plan that has changed since is refused with the new one's id. */
  @Post('vms/:id/retention')
  @HttpCode(202)
  async apply(
    @Param('id') id: string,
    @Body() body: ApplyRetentionDto,
    @Headers('x-chainkeeper-trigger') trigger: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RunDto> {
    const run = await this.retention.apply(id, body, trigger === 'cli' ? 'cli' : 'rest');
    response.location(`/api/v1/runs/${run.id}`);
    return run;
  }

  /** Shows what was said for a VM, and what holds for it. */
  @Get('vms/:id/retention-policy')
  ofVm(@Param('id') id: string): Promise<RetentionPolicyDto> {
    return this.policies.show('vm', id);
  }

  /** Says by what a VM's restore points are kept, in place of all that was said before. */
  @Put('vms/:id/retention-policy')
  setOfVm(@Param('id') id: string, @Body() body: RetentionWishDto): Promise<RetentionPolicyDto> {
    return this.policies.set('vm', id, body);
  }

  /** Takes that back: its offering's holds. */
  @Delete('vms/:id/retention-policy')
  clearOfVm(@Param('id') id: string): Promise<RetentionPolicyDto> {
    return this.policies.clear('vm', id);
  }

  /** Shows what was said for the VMs of an offering. */
  @Get('offerings/:id/retention-policy')
  ofOffering(@Param('id') id: string): Promise<RetentionPolicyDto> {
    return this.policies.show('offering', id);
  }

  /** Says by what the restore points of an offering's VMs are kept, where a VM says nothing, in place of all that was said before. */
  @Put('offerings/:id/retention-policy')
  setOfOffering(@Param('id') id: string, @Body() body: RetentionWishDto): Promise<RetentionPolicyDto> {
    return this.policies.set('offering', id, body);
  }

  /** Takes that back. */
  @Delete('offerings/:id/retention-policy')
  clearOfOffering(@Param('id') id: string): Promise<RetentionPolicyDto> {
    return this.policies.clear('offering', id);
  }
}
