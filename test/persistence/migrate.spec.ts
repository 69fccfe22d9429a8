import { migrate } from '../../src/database/migrate';
import { createDataSource } from '../../src/database/data-source';
import { ENTITIES } from '../../src/database/entities';
import { describeDatabases } from '../support/databases';
import { startScript } from '../support/node-script';

const MIGRATIONS = [
  'CloudstackTables1795500000000',
  'ChainkeeperTables1795500000001',
  'StockHosts1795600000000',
  'RunCause1795700000000',
  'Protections1795800000000',
  'RepositoryWays1795900000000',
  'AbortAsked1796000000000',
  'Restores1796100000000',
  'Manifests1796300000000',
  'RetentionPolicies1796310000000',
  'RunAttempts1796400000000',
  'Schedules1796500000000',
  'Maintenances1796600000000',
  'HostBoots1796700000000',
  'StartUntil1796800000000',
  'MissingFiles1796810000000',
  'Resizes1796820000000',
  'ScheduleReadAs1796900000000',
  'RepositoryLimits1796950000000',
];

describeDatabases('migrations', (databases) => {
  it('bring an empty database up to date, and do nothing the second time', async () => {
    const config = await databases.fresh();
    const first = await createDataSource(config);
    expect(await migrate(first)).toEqual(MIGRATIONS);
    expect(await migrate(first)).toEqual([]);
    await first.destroy();
    const second = await createDataSource(config);
    expect(await migrate(second)).toEqual([]);
    await second.destroy();
  });

  it('make a table for every entity, with a column for every field', async () => {
    const { dataSource } = await databases.open();
    for (const entity of ENTITIES) {
      const { columns, tableName } = dataSource.getMetadata(entity);
      const names = columns.map(({ databaseName }) => dataSource.driver.escape(databaseName));
      await expect(dataSource.query(`SELECT ${names.join(', ')} FROM ${tableName}`)).resolves.toEqual([]);
    }
  });

  it('keep what was said of the way to a repository, which has room for a limit then', async () => {
    const source = await createDataSource(await databases.fresh());
    const before = MIGRATIONS.indexOf('RepositoryLimits1796950000000');
    await migrate(source, { upTo: MIGRATIONS.slice(0, before) });
    await source.query("INSERT INTO ck_repositories (repository_id, transfer) VALUES (3, 'pull'), (4, 'auto')");
    expect(await migrate(source)).toEqual(MIGRATIONS.slice(before));
    await source.query('INSERT INTO ck_repositories (repository_id, bandwidth) VALUES (5, 40)');
    const rows: { repository_id: unknown; transfer: unknown; bandwidth: unknown }[] = await source.query(
      'SELECT repository_id, transfer, bandwidth FROM ck_repositories ORDER BY repository_id',
    );
    expect(rows.map((row) => [Number(row.repository_id), row.transfer, row.bandwidth])).toEqual([
      [3, 'pull', null],
      [4, 'auto', null],
      [5, null, 40],
    ]);
    await source.destroy();
  });

  it('are run by one of two processes that start at once', async () => {
    const config = await databases.fresh();
    const scripts = [1, 2].map(() => startScript('test/persistence/child/migrate.ts', config));
    const ends = await Promise.all(scripts.map((script) => script.end()));
    expect(ends.map(({ err }) => err)).toEqual(['', '']);
    expect(ends.map(({ out }) => JSON.parse(out) as string[]).sort((a, b) => b.length - a.length)).toEqual([MIGRATIONS, []]);
  });

  it('refuse a database whose tables are not ours, and leave it alone', async () => {
    const source = await createDataSource(await databases.fresh());
    await source.query('CREATE TABLE backups (id int)');
    await expect(migrate(source)).rejects.toMatchObject({ code: 'database.foreign', kind: 'refused' });
    await expect(source.query('SELECT * FROM ck_migrations')).rejects.toThrow();
    await source.query('INSERT INTO backups VALUES (1)');
    await source.destroy();
  });

  it('refuse a database that a newer version has changed', async () => {
    const { dataSource } = await databases.open();
    await dataSource.query(`INSERT INTO ck_migrations (timestamp, name) VALUES (1999999999999, 'FromTheFuture1999999999999')`);
    await expect(migrate(dataSource)).rejects.toMatchObject({ code: 'database.newer' });
  });

  it('report a step that fails, keep what was there, and go on where it stopped', async () => {
    const source = await createDataSource(await databases.fresh());
    const last = source.migrations.at(-1);
    if (last === undefined) throw new Error('there are migrations');
    const up = last.up.bind(last);
    last.up = async (runner) => {
      await runner.query('CREATE TABLE half_done (id int)');
      throw new Error('disk on fire');
    };
    await expect(migrate(source)).rejects.toMatchObject({ code: 'database.migration', cause: new Error('disk on fire') });
    // A file is as it was; on a server, where tables cannot be taken back, the steps before the bad one are kept.
    const applied = databases.kind === 'sqlite' ? [] : MIGRATIONS.slice(0, -1);
    if (databases.kind === 'mariadb') {
      expect(await source.query('SELECT name FROM ck_migrations')).toEqual(applied.map((name) => ({ name })));
      await source.query('DROP TABLE half_done');
    } else {
      expect(await source.query('SELECT name FROM sqlite_master WHERE name NOT LIKE ?', ['sqlite_%'])).toEqual([]);
      expect(await source.query('PRAGMA foreign_keys')).toEqual([{ foreign_keys: 1 }]);
    }
    last.up = up;
    expect(await migrate(source)).toEqual(MIGRATIONS.slice(applied.length));
    await source.destroy();
  });
});
