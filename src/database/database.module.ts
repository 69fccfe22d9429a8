import { type DynamicModule, Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { DatabaseConfig } from './data-source';
import { openBooks, type OpenBooks } from './open-books';
import { BackupRepositories } from './repositories/backup-repositories';
import { Backups } from './repositories/backups';
import { Claims } from './repositories/claims';
import { Dues } from './repositories/dues';
import { Events } from './repositories/events';
import { Evidence } from './repositories/evidence';
import { Figures } from './repositories/figures';
import { Hosts } from './repositories/hosts';
import { Leases } from './repositories/leases';
import { Links } from './repositories/links';
import { Maintenances } from './repositories/maintenances';
import { Manifests } from './repositories/manifests';
import { Offerings } from './repositories/offerings';
import { Protections } from './repositories/protections';
import { RetentionPolicies } from './repositories/retention-policies';
import { Resizes } from './repositories/resizes';
import { Restores } from './repositories/restores';
import { RunPlaces } from './repositories/run-places';
import { Runs } from './repositories/runs';
import { Schedules } from './repositories/schedules';
import { StartRules } from './repositories/start-rules';
import { Vms } from './repositories/vms';
import { Volumes } from './repositories/volumes';
import { UnitOfWork } from './unit-of-work';

const OPEN_BOOKS = Symbol('open books');

const BOOKS = [
  UnitOfWork,
  Backups,
  Links,
  Manifests,
  Protections,
  Resizes,
  RetentionPolicies,
  Schedules,
  Dues,
  StartRules,
  Maintenances,
  Events,
  Restores,
  Runs,
  RunPlaces,
  Leases,
  Claims,
  Evidence,
  Figures,
  Vms,
  Volumes,
  Hosts,
  BackupRepositories,
  Offerings,
];

/** The books: opened, locked and brought up to date before anything else starts, closed when everything else has ended. */
@Global()
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(@Inject(OPEN_BOOKS) private readonly books: OpenBooks) {}

  /** @param config with the directory for a copy that is made before tables change */
  static with(config: DatabaseConfig & { readonly copies?: string }): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        { provide: OPEN_BOOKS, useFactory: () => openBooks(config, config.copies) },
        { provide: UnitOfWork, useFactory: ({ dataSource }: OpenBooks) => new UnitOfWork(dataSource), inject: [OPEN_BOOKS] },
        ...BOOKS.filter((books) => books !== UnitOfWork),
      ],
      exports: BOOKS,
    };
  }

  onApplicationShutdown(): Promise<void> {
    return this.books.close();
  }
}
