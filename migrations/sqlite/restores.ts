import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What was restored where, for whom, and whether it was the same. */
export class Restores1796100000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE ck_restores (
      run_id varchar(64) NOT NULL PRIMARY KEY,
      backup_id bigint NOT NULL,
      backup_uuid varchar(40) NOT NULL,
      vm_id bigint NOT NULL,
      way varchar(16) NOT NULL,
      assurance varchar(16) NOT NULL,
      accepted_level varchar(16) NULL,
      accepted_by varchar(255) NULL,
      accepted_why text NULL,
      vm_touched datetime NULL,
      identical boolean NULL,
      outcome text NULL,
      created datetime NOT NULL
    )`);
    await runner.query('CREATE INDEX i_ck_restores__vm ON ck_restores (vm_id, vm_touched)');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
