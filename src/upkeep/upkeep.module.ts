import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { CheckService } from './check.service';
import { RepositoryCheckController } from './repository-check.controller';
import { RepositoryCheckService } from './repository-check.service';
import { SweepService } from './sweep.service';
import { Sweeper } from './sweeper';
import { UpkeepController } from './upkeep.controller';

/** The upkeep of hosts and repositories: whether they are ready, and what was left behind on them. */
@Module({
  imports: [EngineModule],
  controllers: [UpkeepController, RepositoryCheckController],
  providers: [CheckService, RepositoryCheckService, SweepService, Sweeper],
  exports: [Sweeper],
})
export class UpkeepModule {}
