import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A run whose attempt failed waits for another one: how many have failed, and when the next may begin. Tables cannot be taken back here:
 * it may be done already, whole or in part.
 */
export class RunAttempts1796400000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('ck_runs', 'attempt')))
      await runner.query('ALTER TABLE ck_runs ADD COLUMN attempt int NOT NULL DEFAULT 0');
    if (!(await runner.hasColumn('ck_runs', 'not_before')))
      await runner.query('ALTER TABLE ck_runs ADD COLUMN not_before datetime(3) NULL');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
