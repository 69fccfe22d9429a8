import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a run may move to a repository in a second; said of one or not, as the way. */
export class RepositoryLimits1796950000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE ck_repositories MODIFY COLUMN transfer varchar(8) NULL');
    if (await runner.hasColumn('ck_repositories', 'bandwidth')) return;
    await runner.query('ALTER TABLE ck_repositories ADD COLUMN bandwidth int NULL');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
