import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What lies beside the files of each backup: a manifest, and their checksums. */
export class Manifests1796300000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_manifests (
      backup_id bigint unsigned NOT NULL,
      tried datetime(3) NULL,
      why_not text NULL,
      written datetime(3) NULL,
      hash_job varchar(64) NULL,
      hash_verifies tinyint(1) NULL,
      hash_tried datetime(3) NULL,
      hash_why_not text NULL,
      hashed datetime(3) NULL,
      verified datetime(3) NULL,
      damaged text NULL,
      PRIMARY KEY (backup_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
