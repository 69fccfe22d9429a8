import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Page } from '../platform/page';
import { ChainsService } from './chains.service';
import { ChainDto, ChainsQuery, ChainWithLinksDto } from './dto/chain.dto';

/** Chains: a full and the incrementals that follow it. */
@ApiTags('chains')
@Controller('chains')
export class ChainsController {
  constructor(private readonly chains: ChainsService) {}

  /** Lists chains, of one VM or of all; the one that began last comes first. */
  @Get()
  list(@Query() query: ChainsQuery): Promise<Page<ChainDto>> {
    return this.chains.list(query);
  }

  /** Shows one with its links, assurance and gaps. */
  @Get(':id')
  show(@Param('id') id: string): Promise<ChainWithLinksDto> {
    return this.chains.show(id);
  }
}
