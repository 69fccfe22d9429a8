import { hostname } from 'node:os';
import { IsIn, IsInt, IsString, Max, MaxLength, Min, MinLength } from 'class-validator';
import { Setting } from './setting';

/** What an instance does: `api` takes calls, `worker` drives what is to be done, `all` does both. */
export const ROLES = ['api', 'worker', 'all'] as const;
export type Role = (typeof ROLES)[number];

/** What an instance that is told to stop does about the runs that it drives. */
const DRAINS = ['detach', 'finish'] as const;

/** How runs are claimed, kept and given up. */
export class EngineConfig {
  @Setting({
    env: 'CHAINKEEPER_ROLE',
    help: 'What this instance does: `api` takes calls and drives nothing, `worker` drives runs and upkeep and answers nothing but /health and /metrics, `all` does both.',
  })
  @IsIn(ROLES)
  role: Role = 'all';

  @Setting({
    env: 'CHAINKEEPER_OWNER',
    help: 'Name of this orchestrator in leases. Must differ between instances on one database.',
  })
  @IsString()
  @MinLength(1)
  @MaxLength(100)
  owner = `${hostname()}-${process.pid}`;

  @Setting({
    env: 'CHAINKEEPER_LEASE_SECONDS',
    as: 'integer',
    help: 'Seconds a run stays ours without a sign of life; renewed every third of it. Shorter finds the runs of a dead orchestrator sooner.',
  })
  @IsInt()
  @Min(3)
  @Max(3600)
  leaseSeconds = 30;

  @Setting({
    env: 'CHAINKEEPER_POLL_MS',
    as: 'integer',
    help: 'Milliseconds between looks for work in the database; ten times as many while Redis tells of it.',
  })
  @IsInt()
  @Min(20)
  @Max(60_000)
  pollMs = 500;

  @Setting({ env: 'CHAINKEEPER_RUNS_AT_ONCE', as: 'integer', help: 'Runs that this orchestrator drives at the same time.' })
  @IsInt()
  @Min(1)
  @Max(1000)
  runsAtOnce = 8;

  @Setting({
    env: 'CHAINKEEPER_RUNS_PER_HOST',
    as: 'integer',
    help: 'Runs at the same time on one host, of all orchestrators together; 0: no limit of its own.',
  })
  @IsInt()
  @Min(0)
  @Max(1000)
  runsPerHost = 0;

  @Setting({
    env: 'CHAINKEEPER_RUNS_PER_REPOSITORY',
    as: 'integer',
    help: 'Runs at the same time that write to one repository, of all orchestrators together; 0: no limit of its own.',
  })
  @IsInt()
  @Min(0)
  @Max(10_000)
  runsPerRepository = 0;

  @Setting({
    env: 'CHAINKEEPER_RUNS_PER_ZONE',
    as: 'integer',
    help: 'Runs at the same time in one zone, of all orchestrators together; 0: no limit of its own.',
  })
  @IsInt()
  @Min(0)
  @Max(10_000)
  runsPerZone = 0;

  @Setting({
    env: 'CHAINKEEPER_RUNS_IN_ALL',
    as: 'integer',
    help: 'Runs at the same time of all orchestrators together; 0: no limit of its own.',
  })
  @IsInt()
  @Min(0)
  @Max(10_000)
  runsInAll = 0;

  @Setting({
    env: 'CHAINKEEPER_FULLS_PERCENT',
    as: 'integer',
    help: 'Percent of the places of each of these limits that fulls may take, one place at least: a storm of fulls leaves room for incrementals.',
  })
  @IsInt()
  @Min(0)
  @Max(100)
  fullsPercent = 75;

  @Setting({
    env: 'CHAINKEEPER_ATTEMPTS',
    as: 'integer',
    help: 'Attempts of a backup whose host, NAS or job fails, the first one included; 1: none is tried again.',
  })
  @IsInt()
  @Min(1)
  @Max(100)
  attempts = 5;

  @Setting({
    env: 'CHAINKEEPER_RETRY_SECONDS',
    as: 'integer',
    help: 'Seconds before the second attempt; before each further one it is twice as long, up to an hour.',
  })
  @IsInt()
  @Min(1)
  @Max(3600)
  retrySeconds = 60;

  @Setting({
    env: 'CHAINKEEPER_RUN_HOURS',
    as: 'integer',
    help: 'Hours after which a run that has not ended is aborted on its host.',
  })
  @IsInt()
  @Min(1)
  @Max(240)
  runHours = 24;

  @Setting({
    env: 'CHAINKEEPER_STUCK_MINUTES',
    as: 'integer',
    help: 'Minutes without a further byte after which a run is told to be stuck. It is told, and not stopped.',
  })
  @IsInt()
  @Min(1)
  @Max(10_000)
  stuckMinutes = 30;

  @Setting({
    env: 'CHAINKEEPER_STUCK_QUEUED_HOURS',
    as: 'integer',
    help: 'Hours that a run may wait, though it could begin, without being told.',
  })
  @IsInt()
  @Min(1)
  @Max(1000)
  stuckQueuedHours = 6;

  @Setting({
    env: 'CHAINKEEPER_DRAIN',
    help: 'What becomes of the runs of this instance when it is told to stop: `detach` lets go of them (they go on on their hosts, and another adopts them), `finish` waits for their ends first.',
  })
  @IsIn(DRAINS)
  drain: (typeof DRAINS)[number] = 'detach';

  @Setting({
    env: 'CHAINKEEPER_DRAIN_SECONDS',
    as: 'integer',
    help: 'Seconds that an instance which is told to stop still answers calls while /health/ready says 503: as long as a load balancer needs to notice.',
  })
  @IsInt()
  @Min(0)
  @Max(600)
  drainSeconds = 0;

  @Setting({
    env: 'CHAINKEEPER_DRAIN_FINISH_SECONDS',
    as: 'integer',
    help: 'Seconds that `finish` waits at most; then it lets go, as it does at a second signal.',
  })
  @IsInt()
  @Min(1)
  @Max(864_000)
  drainFinishSeconds = 3600;

  @Setting({
    env: 'CHAINKEEPER_SWEEP_HOURS',
    as: 'integer',
    help: 'Hours between looks for what runs left behind on hosts and repositories, the first at the start; 0: never by itself. The rest of the upkeep (manifests, checksums, copies of the books, how full repositories are) goes on by itself every six hours.',
  })
  @IsInt()
  @Min(0)
  @Max(1000)
  sweepHours = 6;

  @Setting({
    env: 'CHAINKEEPER_SPACE_WARN_PERCENT',
    as: 'integer',
    help: 'Percent of a repository in use from which on the log and the API warn; looked at every six hours.',
  })
  @IsInt()
  @Min(1)
  @Max(100)
  spaceWarnPercent = 85;

  @Setting({
    env: 'CHAINKEEPER_CHECKSUMS_PER_TURN',
    as: 'integer',
    help: 'Backups without checksums that are read back and hashed every six hours, one at a time; 0: only when asked for.',
  })
  @IsInt()
  @Min(0)
  @Max(10_000)
  checksumsPerTurn = 100;

  @Setting({
    env: 'CHAINKEEPER_CHECKSUM_MIB',
    as: 'integer',
    help: 'MiB a second that are read from a NAS at most for checksums.',
  })
  @IsInt()
  @Min(1)
  @Max(100_000)
  checksumMib = 32;
}
