import { Body, Controller, Delete, Get, Param, Put } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { StartRulesDto, StartRulesWishDto } from './dto/start-rules.dto';
import { StartRulesService } from './start-rules.service';

/** When backups may start. What somebody asks for by hand starts at once, whatever they say. */
@ApiTags('schedules')
@Controller()
export class StartRulesController {
  constructor(private readonly rules: StartRulesService) {}

  /** Shows when the scheduled backups of an offering's VMs may start. */
  @Get('offerings/:id/start-rules')
  ofOffering(@Param('id') id: string): Promise<StartRulesDto> {
    return this.rules.show('offering', id);
  }

  /** Says when they may, in place of all that was said before. */
  @Put('offerings/:id/start-rules')
  setOfOffering(@Param('id') id: string, @Body() body: StartRulesWishDto): Promise<StartRulesDto> {
    return this.rules.set('offering', id, body);
  }

  /** Takes that back: at any time. */
  @Delete('offerings/:id/start-rules')
  clearOfOffering(@Param('id') id: string): Promise<StartRulesDto> {
    return this.rules.clear('offering', id);
  }

  /** Shows when scheduled backups may start on a host. */
  @Get('hosts/:id/start-rules')
  ofHost(@Param('id') id: string): Promise<StartRulesDto> {
    return this.rules.show('host', id);
  }

  /** Says when they may, in place of all that was said before. */
  @Put('hosts/:id/start-rules')
  setOfHost(@Param('id') id: string, @Body() body: StartRulesWishDto): Promise<StartRulesDto> {
    return this.rules.set('host', id, body);
  }

  /** Takes that back: at any time. */
  @Delete('hosts/:id/start-rules')
  clearOfHost(@Param('id') id: string): Promise<StartRulesDto> {
    return this.rules.clear('host', id);
  }
}
