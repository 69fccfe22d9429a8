import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Hosts and repositories on which nothing is begun for now. No foreign key: in attached mode they are in another database. */
export class Maintenances1796600000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_maintenances (
      owner varchar(16) NOT NULL,
      owner_id bigint unsigned NOT NULL,
      begun_by varchar(255) NOT NULL,
      why text NOT NULL,
      running varchar(8) NOT NULL,
      since datetime(3) NOT NULL,
      PRIMARY KEY (owner, owner_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
