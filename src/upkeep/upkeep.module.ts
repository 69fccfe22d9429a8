import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { BooksCopies } from './books-copies';
import { CheckService } from './check.service';
import { DescribeService } from './describe.service';
import { HashService } from './hash.service';
import { RepositoryCheckController } from './repository-check.controller';
import { RepositoryCheckService } from './repository-check.service';
import { SpaceService } from './space.service';
import { SweepService } from './sweep.service';
import { Sweeper } from './sweeper';
import { UpkeepController } from './upkeep.controller';

/** The upkeep of hosts and repositories: whether they are ready, and what was left behind on them. */
@Module({
  imports: [EngineModule],
  controllers: [UpkeepController, RepositoryCheckController],
  providers: [
    BooksCopies,
    CheckService,
    DescribeService,
    HashService,
    RepositoryCheckService,
    SpaceService,
    SweepService,
    Sweeper,
  ],
  exports: [Sweeper],
})
export class UpkeepModule {}
