import { AbortAsked1796000000000 } from './sqlite/abort-asked';
import { ChainkeeperTables1795500000001 } from './sqlite/chainkeeper-tables';
import { CloudstackTables1795500000000 } from './sqlite/cloudstack-tables';
import { HostBoots1796700000000 } from './sqlite/host-boots';
import { Maintenances1796600000000 } from './sqlite/maintenances';
import { Manifests1796300000000 } from './sqlite/manifests';
import { MissingFiles1796810000000 } from './sqlite/missing-files';
import { Protections1795800000000 } from './sqlite/protections';
import { RunAttempts1796400000000 } from './sqlite/run-attempts';
import { RunCause1795700000000 } from './sqlite/run-cause';
import { RepositoryLimits1796950000000 } from './sqlite/repository-limits';
import { RepositoryWays1795900000000 } from './sqlite/repository-ways';
import { Resizes1796820000000 } from './sqlite/resizes';
import { Restores1796100000000 } from './sqlite/restores';
import { RetentionPolicies1796310000000 } from './sqlite/retention-policies';
import { ScheduleReadAs1796900000000 } from './sqlite/schedule-read-as';
import { Schedules1796500000000 } from './sqlite/schedules';
import { StartUntil1796800000000 } from './sqlite/start-until';
import { StockHosts1795600000000 } from './sqlite/stock-hosts';

/** What brings a SQLite file up to date, in order. Named one by one: a forgotten file is a compile error, not a surprise. */
export const SQLITE_MIGRATIONS = [
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
