import { Inject, Injectable } from '@nestjs/common';
import { RUN_KINDS } from '../database/entities/run-row';
import { Figures, FLEET_PROBLEMS, type FleetFigures, type WorkFigures } from '../database/repositories/figures';
import { STUCK_CODES } from '../domain/run/judge-stuck';
import { hasEnded, RUN_STATES } from '../domain/run/run-state';
import { LookLog } from '../engine/look-log';
import { Queue } from '../engine/queue';
import { Scheduler } from '../engine/scheduler';
import { Watcher } from '../engine/watcher';
import { Worker } from '../engine/worker';
import { Config } from '../platform/config/load-config';
import { type CheckedPart, Readiness } from '../platform/health/readiness';
import { LOG, type Log } from '../platform/log';
import { type Sample, writeMetrics } from '../platform/metrics/write-metrics';
import { VERSION } from '../platform/version';
import { Kept } from './kept';
import { type MetricName, METRICS } from './metric-list';
import { Tally } from './tally';

/** Figures are this old at most: many may ask, and each at his own time. */
const WORK_MS = 5_000;
/** Every VM is looked at: seconds of a server for a hundred thousand. */
const FLEET_MS = 300_000;

const STARTED = Date.now() / 1000 - process.uptime();

type Samples = Partial<Record<MetricName, readonly Sample[]>>;

/** What Prometheus is told: of the books, the same on every instance, and of this instance. */
@Injectable()
export class MetricsService {
  readonly #work: Kept<WorkFigures>;
  readonly #fleet: Kept<FleetFigures>;
  readonly #looks: LookLog;

  constructor(
    figures: Figures,
    private readonly tally: Tally,
    private readonly readiness: Readiness,
    private readonly queue: Queue,
    private readonly worker: Worker,
    private readonly scheduler: Scheduler,
    private readonly watcher: Watcher,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) log: Log,
  ) {
    this.#work = new Kept(WORK_MS, () => figures.ofWork());
    this.#fleet = new Kept(FLEET_MS, () => figures.ofFleet());
    this.#looks = new LookLog(log, 'figures');
  }

  /** Without books it tells of this instance alone: what nobody knows is no 0. */
  async text(): Promise<string> {
    const parts = await this.readiness.look();
    const known = parts.some(({ spare, trouble }) => trouble !== null && !spare) ? {} : await this.#ofBooks();
    const samples: Samples = { ...this.#ofInstance(parts), ...known };
    return writeMetrics(
      Object.entries(METRICS).map(([name, head]) => ({ name, ...head, samples: samples[name as MetricName] ?? [] })),
    );
  }

  async #ofBooks(): Promise<Samples> {
    try {
      const [work, fleet] = [await this.#work.get(), await this.#fleet.get()];
      this.#looks.ended(null);
      return { ...ofWork(work), ...ofFleet(fleet) };
    } catch (error) {
      this.#looks.ended(error);
      return {};
    }
  }

  #ofInstance(parts: readonly CheckedPart[]): Samples {
    const { role } = this.config.engine;
    const { tally } = this;
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return {
      chainkeeper_build_info: [{ labels: { version: VERSION, role, books: this.config.books.kind }, value: 1 }],
      chainkeeper_check_ok: parts.map(({ name, trouble }) => ({ labels: { check: name }, value: trouble === null ? 1 : 0 })),
      ...(role === 'api' ? {} : this.#ofLoops()),
      chainkeeper_driven_runs: single(this.queue.driven.size),
      chainkeeper_runs_begun_total: tally.begun.samples(),
      chainkeeper_runs_recovered_total: tally.recovered.samples(),
      chainkeeper_runs_retried_total: tally.retried.samples(),
      chainkeeper_runs_ended_total: tally.ended.samples(),
      chainkeeper_run_errors_total: tally.errors.samples(),
      chainkeeper_run_wait_seconds: tally.waits,
      chainkeeper_run_duration_seconds: tally.durations,
      chainkeeper_late_writes_total: tally.lateWrites.samples(),
      process_start_time_seconds: single(STARTED),
      process_cpu_seconds_total: single((user + system) / 1e6),
      process_resident_memory_bytes: single(rss),
      nodejs_heap_used_bytes: single(heapUsed),
    };
  }

  /** An api has none, and nothing to tell of them. */
  #ofLoops(): Samples {
    const looks = [this.worker.looks, this.scheduler.looks, this.scheduler.changes, this.watcher.looks];
    const { stuck } = this.watcher;
    return {
      chainkeeper_look_failing: looks.map(({ what, failing }) => ({ labels: { look: what }, value: failing ? 1 : 0 })),
      chainkeeper_stuck_runs: stuck === null ? [] : STUCK_CODES.map((why) => ({ labels: { why }, value: stuck.get(why) ?? 0 })),
    };
  }
}

const single = (value: number): Sample[] => [{ value }];

function ofWork({ runs, oldestQueuedSeconds, overdue, oldestDueSeconds, leases, repositories }: WorkFigures): Samples {
  const count = (state: string, kind: string): number => runs.find((one) => one.state === state && one.kind === kind)?.count ?? 0;
  const seen = (bytes: (repository: (typeof repositories)[number]) => number | null): Sample[] =>
    repositories.flatMap((one) => {
      const value = bytes(one);
      return value === null ? [] : [{ labels: { repository: one.name }, value }];
    });
  return {
    chainkeeper_runs: RUN_STATES.filter((state) => !hasEnded(state)).flatMap((state) =>
      RUN_KINDS.map((kind) => ({ labels: { state, kind }, value: count(state, kind) })),
    ),
    chainkeeper_oldest_queued_run_age_seconds: single(oldestQueuedSeconds),
    chainkeeper_overdue_moments: single(overdue),
    chainkeeper_oldest_overdue_moment_age_seconds: single(oldestDueSeconds),
    chainkeeper_leases: single(leases),
    chainkeeper_repository_used_bytes: seen(({ used }) => used),
    chainkeeper_repository_capacity_bytes: seen(({ capacity }) => capacity),
  };
}

const ofFleet = ({ vms, problems, oldestBackupSeconds }: FleetFigures): Samples => ({
  chainkeeper_vms: single(vms),
  chainkeeper_vms_with_problem: FLEET_PROBLEMS.map((problem) => ({ labels: { problem }, value: problems[problem] })),
  chainkeeper_oldest_newest_backup_age_seconds: oldestBackupSeconds === null ? [] : single(oldestBackupSeconds),
});
