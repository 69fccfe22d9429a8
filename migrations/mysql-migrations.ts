import { AbortAsked1796000000000 } from './mysql/abort-asked';
import { ChainkeeperTables1795500000001 } from './mysql/chainkeeper-tables';
import { CloudstackTables1795500000000 } from './mysql/cloudstack-tables';
import { HostBoots1796700000000 } from './mysql/host-boots';
import { Maintenances1796600000000 } from './mysql/maintenances';
import { Manifests1796300000000 } from './mysql/manifests';
import { MissingFiles1796810000000 } from './mysql/missing-files';
import { Protections1795800000000 } from './mysql/protections';
import { RunAttempts1796400000000 } from './mysql/run-attempts';
import { RunCause1795700000000 } from './mysql/run-cause';
import { RepositoryLimits1796950000000 } from './mysql/repository-limits';
import { RepositoryWays1795900000000 } from './mysql/repository-ways';
import { Resizes1796820000000 } from './mysql/resizes';
import { Restores1796100000000 } from './mysql/restores';
import { RetentionPolicies1796310000000 } from './mysql/retention-policies';
import { ScheduleReadAs1796900000000 } from './mysql/schedule-read-as';
import { Schedules1796500000000 } from './mysql/schedules';
import { StartUntil1796800000000 } from './mysql/start-until';
import { StockHosts1795600000000 } from './mysql/stock-hosts';

/** What brings a MySQL or MariaDB database up to date, in order. Same names as for SQLite. */
export const MYSQL_MIGRATIONS = [
  CloudstackTables1795500000000,
  ChainkeeperTables1795500000001,
  StockHosts1795600000000,
  RunCause1795700000000,
  Protections1795800000000,
  RepositoryWays1795900000000,
  AbortAsked1796000000000,
  Restores1796100000000,
  Manifests1796300000000,
  RetentionPolicies1796310000000,
  RunAttempts1796400000000,
  Schedules1796500000000,
  Maintenances1796600000000,
  HostBoots1796700000000,
  StartUntil1796800000000,
  MissingFiles1796810000000,
  Resizes1796820000000,
  ScheduleReadAs1796900000000,
  RepositoryLimits1796950000000,
];
