import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * When VMs are backed up, and what has happened. `ck_schedules` holds what CloudStack's `backup_schedule` has no column for, and schedules of
 * our own; `ck_due` what comes next of each, one row for each of its VMs, so that a look for work is one look at an index.
 */
export class Schedules1796500000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE ck_schedules (
      seq integer PRIMARY KEY AUTOINCREMENT NOT NULL,
      id varchar(40) NOT NULL,
      backup_schedule_id bigint NULL,
      vm_id bigint NULL,
      offering_id bigint NULL,
      cron varchar(100) NULL,
      timezone varchar(100) NULL,
      quiesce boolean NULL,
      jitter_seconds integer NOT NULL,
      missed varchar(16) NOT NULL,
      grace_seconds integer NOT NULL,
      paused datetime NULL,
      paused_why text NULL,
      created datetime NOT NULL,
      changed datetime NOT NULL
    )`);
    await runner.query(`CREATE TABLE ck_due (
      schedule_seq bigint NOT NULL,
      vm_id bigint NOT NULL,
      instant datetime NULL,
      due_at datetime NULL,
      PRIMARY KEY (schedule_seq, vm_id)
    )`);
    await runner.query(`CREATE TABLE ck_start_rules (
      owner varchar(16) NOT NULL,
      owner_id bigint NOT NULL,
      zone varchar(64) NOT NULL,
      windows text NOT NULL,
      blackouts text NOT NULL,
      at_end varchar(16) NOT NULL,
      changed datetime NOT NULL,
      PRIMARY KEY (owner, owner_id)
    )`);
    await runner.query(`CREATE TABLE ck_events (
      seq integer PRIMARY KEY AUTOINCREMENT NOT NULL,
      kind varchar(32) NOT NULL,
      vm_id bigint NULL,
      run_id varchar(40) NULL,
      schedule_id varchar(40) NULL,
      host_id bigint NULL,
      reason varchar(64) NULL,
      message text NOT NULL,
      facts text NULL,
      at datetime NOT NULL
    )`);
    await runner.query('CREATE UNIQUE INDEX uc_ck_schedules__id ON ck_schedules (id)');
    await runner.query('CREATE UNIQUE INDEX uc_ck_schedules__backup_schedule_id ON ck_schedules (backup_schedule_id)');
    await runner.query('CREATE INDEX i_ck_schedules__vm_id ON ck_schedules (vm_id)');
    await runner.query('CREATE INDEX i_ck_schedules__offering_id ON ck_schedules (offering_id)');
    await runner.query('CREATE INDEX i_ck_due__due_at ON ck_due (due_at)');
    await runner.query('CREATE INDEX i_ck_due__vm_id ON ck_due (vm_id)');
    await runner.query('CREATE INDEX i_ck_events__vm_id ON ck_events (vm_id, seq)');
    await runner.query('CREATE INDEX i_ck_events__run_id ON ck_events (run_id, seq)');
    await runner.query('CREATE INDEX i_ck_events__schedule_id ON ck_events (schedule_id, seq)');
    await runner.query('CREATE INDEX i_ck_events__at ON ck_events (at)');
    await runner.query('ALTER TABLE ck_runs ADD COLUMN schedule_id varchar(40) NULL');
    await runner.query('ALTER TABLE ck_runs ADD COLUMN scheduled_for datetime NULL');
    await runner.query('ALTER TABLE ck_runs ADD COLUMN stop_at datetime NULL');
    await runner.query('ALTER TABLE ck_runs ADD COLUMN progressed datetime NULL');
    await runner.query('CREATE UNIQUE INDEX uc_ck_runs__scheduled ON ck_runs (vm_id, scheduled_for)');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
