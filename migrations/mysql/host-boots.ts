import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What was last seen of a host's boot, and when a restart of it was first noticed. */
export class HostBoots1796700000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    if (!(await runner.hasColumn('ck_hosts', 'boot_id')))
      await runner.query('ALTER TABLE ck_hosts ADD COLUMN boot_id varchar(64) NULL');
    if (!(await runner.hasColumn('ck_hosts', 'restarted')))
      await runner.query('ALTER TABLE ck_hosts ADD COLUMN restarted datetime(3) NULL');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
