import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The way that backups take to a repository. */
export class RepositoryWays1795900000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE ck_repositories (repository_id bigint NOT NULL PRIMARY KEY, transfer varchar(8) NOT NULL)');
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
