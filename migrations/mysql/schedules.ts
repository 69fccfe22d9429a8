import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * When VMs are backed up, and what has happened. `ck_schedules` holds what CloudStack's `backup_schedule` has no column for, and schedules of
 * our own; `ck_due` what comes next of each, one row for each of its VMs, so that a look for work is one look at an index.
 */
export class Schedules1796500000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_schedules (
      seq bigint unsigned NOT NULL AUTO_INCREMENT,
      id varchar(40) NOT NULL,
      backup_schedule_id bigint unsigned NULL,
      vm_id bigint unsigned NULL,
      offering_id bigint unsigned NULL,
      cron varchar(100) NULL,
      timezone varchar(100) NULL,
      quiesce tinyint(1) NULL,
      jitter_seconds int NOT NULL,
      missed varchar(16) NOT NULL,
      grace_seconds int NOT NULL,
      paused datetime(3) NULL,
      paused_why text NULL,
      created datetime(3) NOT NULL,
      changed datetime(3) NOT NULL,
      PRIMARY KEY (seq),
      UNIQUE KEY uc_ck_schedules__id (id),
      UNIQUE KEY uc_ck_schedules__backup_schedule_id (backup_schedule_id),
      KEY i_ck_schedules__vm_id (vm_id),
      KEY i_ck_schedules__offering_id (offering_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_due (
      schedule_seq bigint unsigned NOT NULL,
      vm_id bigint unsigned NOT NULL,
      instant datetime(3) NULL,
      due_at datetime(3) NULL,
      PRIMARY KEY (schedule_seq, vm_id),
      KEY i_ck_due__due_at (due_at),
      KEY i_ck_due__vm_id (vm_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_start_rules (
      owner varchar(16) NOT NULL,
      owner_id bigint unsigned NOT NULL,
      zone varchar(64) NOT NULL,
      windows text NOT NULL,
      blackouts text NOT NULL,
      at_end varchar(16) NOT NULL,
      changed datetime(3) NOT NULL,
      PRIMARY KEY (owner, owner_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_events (
      seq bigint unsigned NOT NULL AUTO_INCREMENT,
      kind varchar(32) NOT NULL,
      vm_id bigint unsigned NULL,
      run_id varchar(40) NULL,
      schedule_id varchar(40) NULL,
      host_id bigint unsigned NULL,
      reason varchar(64) NULL,
      message text NOT NULL,
      facts mediumtext NULL,
      at datetime(3) NOT NULL,
      PRIMARY KEY (seq),
      KEY i_ck_events__vm_id (vm_id, seq),
      KEY i_ck_events__run_id (run_id, seq),
      KEY i_ck_events__schedule_id (schedule_id, seq),
      KEY i_ck_events__at (at)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
    if (await runner.hasColumn('ck_runs', 'schedule_id')) return;
    await runner.query(`ALTER TABLE ck_runs
      ADD COLUMN schedule_id varchar(40) NULL,
      ADD COLUMN scheduled_for datetime(3) NULL,
      ADD COLUMN stop_at datetime(3) NULL,
      ADD COLUMN progressed datetime(3) NULL,
      ADD UNIQUE KEY uc_ck_runs__scheduled (vm_id, scheduled_for)`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
