import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a row of CloudStack's table said when we last read it: what says something else by now is read again. */
export class ScheduleReadAs1796900000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE ck_schedules ADD COLUMN read_as varchar(255) NULL');
    await runner.query(`UPDATE ck_schedules SET read_as = (
      SELECT CONCAT_WS(' ', COALESCE(schedule_type, -1), COALESCE(schedule, ''), COALESCE(timezone, ''))
      FROM backup_schedule theirs WHERE theirs.id = ck_schedules.backup_schedule_id
    ) WHERE backup_schedule_id IS NOT NULL`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
