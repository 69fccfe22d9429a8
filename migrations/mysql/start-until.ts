import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Until when a run that waits may begin: when its window closes it is put off to the next. */
export class StartUntil1796800000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('ck_runs', 'start_until')) return;
    await runner.query(`ALTER TABLE ck_runs
      ADD COLUMN start_until datetime(3) NULL,
      ADD KEY i_ck_runs__start_until (state, start_until)`);
    // Those that wait were made by rules that may let them start no more: they are judged at the next look.
    await runner.query(`UPDATE ck_runs SET start_until = UTC_TIMESTAMP(3) WHERE state = 'queued' AND triggered_by = 'schedule'`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
