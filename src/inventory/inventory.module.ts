import { Module } from '@nestjs/common';
import { EngineModule } from '../engine/engine.module';
import { HostsController } from './hosts.controller';
import { HostsService } from './hosts.service';
import { MaintenanceController } from './maintenance.controller';
import { MaintenanceService } from './maintenance.service';
import { OfferingsController } from './offerings.controller';
import { OfferingsService } from './offerings.service';
import { RepositoriesController } from './repositories.controller';
import { RepositoriesService } from './repositories.service';
import { VmsController } from './vms.controller';
import { VmsService } from './vms.service';

/** What is taken care of, and what with: hosts, repositories, offerings, VMs. */
@Module({
  imports: [EngineModule],
  controllers: [HostsController, RepositoriesController, MaintenanceController, OfferingsController, VmsController],
  providers: [HostsService, RepositoriesService, MaintenanceService, OfferingsService, VmsService],
})
export class InventoryModule {}
