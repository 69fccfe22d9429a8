import type { MigrationInterface, QueryRunner } from 'typeorm';

/** By what restore points are kept, per offering and per VM. */
export class RetentionPolicies1796310000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE ck_retention_policies (
      owner varchar(16) NOT NULL,
      owner_id bigint NOT NULL,
      keep_last integer NULL,
      keep_hourly integer NULL,
      keep_daily integer NULL,
      keep_weekly integer NULL,
      keep_monthly integer NULL,
      keep_yearly integer NULL,
      min_age_hours integer NULL,
      zone varchar(64) NULL,
      manual boolean NULL,
      changed datetime NOT NULL,
      PRIMARY KEY (owner, owner_id)
    )`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
