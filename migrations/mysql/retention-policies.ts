import type { MigrationInterface, QueryRunner } from 'typeorm';

/** By what restore points are kept, per offering and per VM. */
export class RetentionPolicies1796310000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE IF NOT EXISTS ck_retention_policies (
      owner varchar(16) NOT NULL,
      owner_id bigint unsigned NOT NULL,
      keep_last int NULL,
      keep_hourly int NULL,
      keep_daily int NULL,
      keep_weekly int NULL,
      keep_monthly int NULL,
      keep_yearly int NULL,
      min_age_hours int NULL,
      zone varchar(64) NULL,
      manual tinyint(1) NULL,
      changed datetime(3) NOT NULL,
      PRIMARY KEY (owner, owner_id)
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
