import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Why the service asked for a run by itself. Tables cannot be taken back here: it may be done already. */
export class RunCause1795700000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('ck_runs', 'cause')) return;
    await runner.query('ALTER TABLE ck_runs ADD COLUMN cause text NULL');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
