import type { MigrationInterface, QueryRunner } from 'typeorm';

/** A host whose backups a stock script takes, with or without ours beside it. Tables cannot be taken back here: it may be done already. */
export class StockHosts1795600000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    if (await runner.hasColumn('ck_hosts', 'beside')) return;
    await runner.query(
      'ALTER TABLE ck_hosts ADD COLUMN stock_path varchar(1024) NULL, ADD COLUMN beside tinyint(1) NOT NULL DEFAULT 0',
    );
  }

  down(): Promise<void> {
    return Promise.reject(new Error('The books are not taken down; restore a copy of the database instead.'));
  }
}
