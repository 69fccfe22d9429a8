import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Somebody asked a run to stop: whoever drives it sees that before it starts anything, and as long as it goes on. Tables cannot be taken back here: it may be done already. */
export class AbortAsked1796000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('ck_runs', 'abort_asked')) return;
    await runner.query('ALTER TABLE ck_runs ADD COLUMN abort_asked datetime(3) NULL');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
