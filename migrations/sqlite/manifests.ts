import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What lies beside the files of each backup: a manifest, and their checksums. */
export class Manifests1796300000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE ck_manifests (
      backup_id bigint NOT NULL,
      tried datetime NULL,
      why_not text NULL,
      written datetime NULL,
      hash_job varchar(64) NULL,
      hash_verifies boolean NULL,
      hash_tried datetime NULL,
      hash_why_not text NULL,
      hashed datetime NULL,
      verified datetime NULL,
      damaged text NULL,
      PRIMARY KEY (backup_id)
    )`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
