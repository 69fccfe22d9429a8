import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Backups that somebody said must stay. */
export class Protections1795800000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE ck_protections (
      backup_id bigint NOT NULL,
      until datetime NULL,
      protected_by varchar(255) NOT NULL,
      why text NOT NULL,
      created datetime NOT NULL,
      PRIMARY KEY (backup_id)
    )`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
