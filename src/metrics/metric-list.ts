import type { MetricHead } from '../platform/metrics/write-metrics';

const counter = (help: string): MetricHead => ({ type: 'counter', help });
const gauge = (help: string): MetricHead => ({ type: 'gauge', help });
const summary = (help: string): MetricHead => ({ type: 'summary', help });

/** All metrics, in the order in which they are told. `docs/metrics.md` says more of each. */
export const METRICS = {
  chainkeeper_build_info: gauge('Version and role of this instance, and what its books are kept in; always 1.'),
  chainkeeper_check_ok: gauge('What readiness checks: 1 it works, 0 it does not.'),
  chainkeeper_look_failing: gauge('Loops of this instance whose last look failed: 1.'),

  chainkeeper_runs: gauge('Runs that have not ended.'),
  chainkeeper_oldest_queued_run_age_seconds: gauge('For how long the oldest run that waits could have begun; 0: none waits.'),
  chainkeeper_stuck_runs: gauge('Runs that seem to be stuck, by why.'),
  chainkeeper_overdue_moments: gauge('Moments of schedules that have come and that no run was made of yet.'),
  chainkeeper_oldest_overdue_moment_age_seconds: gauge('For how long the oldest of them has been due; 0: none is.'),
  chainkeeper_leases: gauge('VMs that somebody works on.'),

  chainkeeper_vms: gauge('VMs in the books.'),
  chainkeeper_vms_with_problem: gauge('VMs that something stands in the way of, by what it is; one VM may count for several.'),
  chainkeeper_oldest_newest_backup_age_seconds: gauge('Age of the newest backup of the VM whose newest backup is the oldest.'),
  chainkeeper_repository_used_bytes: gauge('Bytes used of a repository when it was last looked at.'),
  chainkeeper_repository_capacity_bytes: gauge('Bytes that a repository can hold, when it was last looked at.'),

  chainkeeper_driven_runs: gauge('Runs that this instance drives.'),
  chainkeeper_runs_begun_total: counter(
    'Attempts that this instance has begun, those that were put back for a maintenance included.',
  ),
  chainkeeper_runs_recovered_total: counter('Runs that this instance has taken over from an owner that gave no sign of life.'),
  chainkeeper_runs_retried_total: counter('Attempts that failed on this instance and were followed by another.'),
  chainkeeper_runs_ended_total: counter('Runs that this instance has ended, by outcome.'),
  chainkeeper_run_errors_total: counter('Errors of runs that this instance met, by code and by what became of the run.'),
  chainkeeper_run_wait_seconds: summary('From when a run was written down to when this instance began it, first attempts alone.'),
  chainkeeper_run_duration_seconds: summary('From the beginning to the end of runs that this instance has ended.'),
  chainkeeper_late_writes_total: counter('Writes of this instance that came too late: the run had ended, or had another owner.'),

  process_start_time_seconds: gauge('When the process started, in seconds since 1970.'),
  process_cpu_seconds_total: counter('Processor time that the process has used.'),
  process_resident_memory_bytes: gauge('Memory of the process.'),
  nodejs_heap_used_bytes: gauge('Memory that objects of the process take.'),
} as const satisfies Readonly<Record<string, MetricHead>>;

export type MetricName = keyof typeof METRICS;
