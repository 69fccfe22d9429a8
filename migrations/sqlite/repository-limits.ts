import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a run may move to a repository in a second; said of one or not, as the way. SQLite changes no column, so the table is made anew. */
export class RepositoryLimits1796950000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE ck_repositories RENAME TO ck_repositories_before');
    await runner.query(
      'CREATE TABLE ck_repositories (repository_id bigint NOT NULL PRIMARY KEY, transfer varchar(8) NULL, bandwidth integer NULL)',
    );
    await runner.query(
      'INSERT INTO ck_repositories (repository_id, transfer) SELECT repository_id, transfer FROM ck_repositories_before',
    );
    await runner.query('DROP TABLE ck_repositories_before');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
