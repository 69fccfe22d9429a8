import { type DynamicModule, Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { DatabaseConfig } from './data-source';
import { openBooks, type OpenBooks } from './open-books';
import { BackupRepositories } from './repositories/backup-repositories';
import { Backups } from './repositories/backups';
import { Evidence } from './repositories/evidence';
import { Hosts } from './repositories/hosts';
import { Leases } from './repositories/leases';
import { Links } from './repositories/links';
import { Offerings } from './repositories/offerings';
import { Protections } from './repositories/protections';
import { RetentionPolicies } from './repositories/retention-policies';
import { Runs } from './repositories/runs';
import { Schedules } from './repositories/schedules';
import { Vms } from './repositories/vms';
import { Volumes } from './repositories/volumes';
import { UnitOfWork } from './unit-of-work';

/** Injection token of the `DatabaseConfig`. */
export const DATABASE_CONFIG = Symbol('database config');
const OPEN_BOOKS = Symbol('open books');

const BOOKS = [
  UnitOfWork,
  Backups,
  Links,
  Protections,
  RetentionPolicies,
  Schedules,
  Runs,
  Leases,
  Evidence,
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

  static with(config: DatabaseConfig): DynamicModule {
    return {
      module: DatabaseModule,
      providers: [
        { provide: DATABASE_CONFIG, useValue: config },
        { provide: OPEN_BOOKS, useFactory: openBooks, inject: [DATABASE_CONFIG] },
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
