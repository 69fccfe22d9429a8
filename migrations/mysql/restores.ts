import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What was restored where, for whom, and whether it was the same. No foreign keys: the record outlives the backup. */
export class Restores1796100000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_restores (
      run_id varchar(64) NOT NULL,
      backup_id bigint unsigned NOT NULL,
      backup_uuid varchar(40) NOT NULL,
      vm_id bigint unsigned NOT NULL,
      way varchar(16) NOT NULL,
      assurance varchar(16) NOT NULL,
      accepted_level varchar(16) NULL,
      accepted_by varchar(255) NULL,
      accepted_why text NULL,
      vm_touched datetime(3) NULL,
      identical tinyint(1) NULL,
      outcome longtext NULL,
      created datetime(3) NOT NULL,
      PRIMARY KEY (run_id),
      KEY i_ck_restores__vm (vm_id, vm_touched)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
