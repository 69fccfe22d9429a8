import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Hosts and repositories on which nothing is begun for now. */
export class Maintenances1796600000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE ck_maintenances (
      owner varchar(16) NOT NULL,
      owner_id bigint NOT NULL,
      begun_by varchar(255) NOT NULL,
      why text NOT NULL,
      running varchar(8) NOT NULL,
      since datetime NOT NULL,
      PRIMARY KEY (owner, owner_id)
    )`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
