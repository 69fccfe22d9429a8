import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The way that backups take to a repository. No foreign key: in attached mode the repository is in another database. */
export class RepositoryWays1795900000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE TABLE IF NOT EXISTS ck_repositories (
        repository_id bigint unsigned NOT NULL,
        transfer varchar(8) NOT NULL,
        PRIMARY KEY (repository_id)
      ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin`,
    );
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
