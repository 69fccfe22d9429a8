import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The files of a backup that were not there when somebody looked for them. */
export class MissingFiles1796810000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE ck_manifests ADD COLUMN missing text NULL');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
