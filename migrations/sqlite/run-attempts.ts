import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A run whose attempt failed waits for another one: how many have failed, and when the next may begin. */
export class RunAttempts1796400000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE ck_runs ADD COLUMN attempt integer NOT NULL DEFAULT 0');
    await runner.query('ALTER TABLE ck_runs ADD COLUMN not_before datetime NULL');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
