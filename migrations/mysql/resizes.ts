import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Disks whose size somebody changed, as we were told. */
export class Resizes1796820000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_resizes (
      id bigint unsigned NOT NULL AUTO_INCREMENT,
      vm_id bigint unsigned NOT NULL,
      target varchar(32) NOT NULL,
      size_from bigint unsigned NOT NULL,
      size_to bigint unsigned NOT NULL,
      run_id varchar(64) NULL,
      at datetime(3) NOT NULL,
      PRIMARY KEY (id),
      KEY i_ck_resizes__vm (vm_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
