import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Disks whose size somebody changed, as we were told. */
export class Resizes1796820000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE ck_resizes (
      id integer PRIMARY KEY AUTOINCREMENT,
      vm_id bigint NOT NULL,
      target varchar(32) NOT NULL,
      size_from bigint NOT NULL,
      size_to bigint NOT NULL,
      run_id varchar(64) NULL,
      at datetime NOT NULL
    )`);
    await runner.query('CREATE INDEX i_ck_resizes__vm ON ck_resizes (vm_id)');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
