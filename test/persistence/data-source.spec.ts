import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { createDataSource, type ServerConfig } from '../../src/database/data-source';
import { BackupRow } from '../../src/database/entities/backup-row';
import { EvidenceRow } from '../../src/database/entities/evidence-row';
import { BackupRepositories } from '../../src/database/repositories/backup-repositories';
import { Backups } from '../../src/database/repositories/backups';
import { UnitOfWork } from '../../src/database/unit-of-work';
import { aBackup, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';
import { startScript } from '../support/node-script';
import { startMariadb, type Mariadb } from '../support/mariadb';

describeDatabases('values', (databases) => {
  let books: Books;
  let vmId: number;
  beforeAll(async () => {
    books = await databases.open();
    vmId = (await aVm(books)).id;
  });

  it('come back as they went in: text of every plane, quotes, the largest exact size', async () => {
    const description = `Ünï 🐘 'quoted' "twice" back\\slash`;
    const backup = aBackup(vmId, { description, size: Number.MAX_SAFE_INTEGER });
    const { id } = await new Backups(books.work).insert(backup, []);
    expect(await new Backups(books.work).findById(id)).toEqual({ ...backup, id, removed: null, details: [] });
  });

  it.each([2 ** 53, -1, 1.5, Number.NaN])('refuse %p as a number of bytes, and write nothing', async (size) => {
    const backup = aBackup(vmId, { size });
    await expect(new Backups(books.work).insert(backup, [])).rejects.toMatchObject({ code: 'database.unsafe-integer' });
    expect(await new Backups(books.work).findByUuid(backup.uuid)).toBeNull();
  });

  it('refuse to read a number of bytes that somebody else wrote too large, instead of rounding it', async () => {
    const { id } = await new Backups(books.work).insert(aBackup(vmId), []);
    await books.dataSource.query(`UPDATE backups SET size = 9007199254740993 WHERE id = ${id}`);
    await expect(new Backups(books.work).findById(id)).rejects.toMatchObject({ code: 'database.unsafe-integer' });
    await books.dataSource.query(`UPDATE backups SET size = 1 WHERE id = ${id}`);
  });

  it('cut a moment to the second where CloudStack has no more, the same way everywhere', async () => {
    const { id } = await new Backups(books.work).insert(aBackup(vmId, { date: new Date('2026-10-25T00:59:59.999Z') }), []);
    const row = await books.work.read((manager) => manager.findOneByOrFail(BackupRow, { id }));
    expect(row.date).toEqual(new Date('2026-10-25T00:59:59.000Z'));
  });

  it('are moments in UTC in the database itself, whatever zone the server or the process thinks in', async () => {
    const moment = '2026-03-29T02:30:00.123Z';
    const argument = { config: books.config, vmId, moment };
    const script = startScript('test/persistence/child/write-moment.ts', argument, { TZ: 'America/New_York' });
    const { out, err } = await script.end();
    expect({ out, err }).toEqual({ out: `America/New_York ${moment}`, err: '' });
    const asText = databases.kind === 'sqlite' ? 'qemu_started' : `DATE_FORMAT(qemu_started, '%Y-%m-%d %H:%i:%s.%f')`;
    const [raw] = await books.dataSource.query<{ text: string }[]>(
      `SELECT ${asText} AS text FROM ck_evidence WHERE vm_id = ${vmId}`,
    );
    expect(raw?.text).toMatch(/^2026-03-29 02:30:00\.123(000)?$/);
    const row = await books.work.read((manager) => manager.findOneByOrFail(EvidenceRow, { vmId }));
    expect(row.qemuStarted).toEqual(new Date(moment));
    expect(Math.abs(row.at.getTime() - Date.now())).toBeLessThan(10_000);
  });

  it('are not in the error when a statement is refused', async () => {
    const repository = {
      uuid: 'u',
      name: null as unknown as string,
      type: 'cifs',
      address: '//nas/x',
      mountOpts: 'password=s3cret',
    };
    const error: unknown = await new BackupRepositories(books.work).create(repository).catch((refused: unknown) => refused);
    expect(error).toMatchObject({ code: 'database.refused' });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('s3cret');
  });
});

describe('a SQLite file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'ck-books-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is durable, checks its foreign keys, and is for nobody else to read', async () => {
    const path = join(folder, 'new/folder/books.sqlite');
    // The second opening counts: SQLite takes other defaults for a file that has a write-ahead log already.
    await (await createDataSource({ kind: 'sqlite', path })).destroy();
    const source = await createDataSource({ kind: 'sqlite', path });
    const pragma = async (name: string): Promise<unknown> =>
      Object.values((await source.query<object[]>(`PRAGMA ${name}`))[0] ?? {})[0];
    expect(await pragma('journal_mode')).toBe('wal');
    expect(await pragma('synchronous')).toBe(2);
    expect(await pragma('foreign_keys')).toBe(1);
    await source.query('CREATE TABLE t (id int)');
    expect(['', '-wal', '-shm'].map((end) => statSync(path + end).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
    await source.destroy();
  });

  it('that is none is called damaged, and stays as it is', async () => {
    const path = join(folder, 'not-a-database');
    writeFileSync(path, 'Dear diary, today I was mistaken for a database. '.repeat(100));
    await expect(createDataSource({ kind: 'sqlite', path })).rejects.toMatchObject({ code: 'database.damaged' });
    expect(statSync(path).size).toBe(4900);
  });
});

describe('a server', () => {
  let server: Mariadb;
  let config: ServerConfig;
  beforeAll(async () => {
    server = await startMariadb();
    config = await server.newDatabase();
  }, 60_000);
  afterAll(() => server?.stop());

  it('that does not listen is unreachable; the password is not in the error', async () => {
    const attempt = createDataSource({ ...config, port: 1 });
    await expect(attempt).rejects.toMatchObject({ code: 'database.unreachable', kind: 'unreachable' });
    await expect(attempt.catch((error: Error) => JSON.stringify(error) + String(error.stack))).resolves.not.toContain(
      config.password,
    );
  });

  it.each([{ password: 'wrong' }, { database: 'nowhere' }, { user: 'nobody' }])(
    'that turns us away says so: %p',
    async (wrong) => {
      await expect(createDataSource({ ...config, ...wrong })).rejects.toMatchObject({ code: 'database.denied' });
    },
  );

  it('that cuts long values short is refused', async () => {
    await server.asRoot(`SET GLOBAL sql_mode = ''`);
    await expect(createDataSource(config)).rejects.toMatchObject({ code: 'database.not-strict' });
    await server.asRoot(`SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES'`);
  });

  it('is found to be MariaDB, even when it was called MySQL', async () => {
    const source = await createDataSource({ ...config, kind: 'mysql' });
    expect(source.options.type).toBe('mariadb');
    await source.destroy();
  });

  it('ends the transaction of whoever stands still in it, and others go on', async () => {
    const source = await createDataSource(config);
    const asked = Array.from({ length: 6 }, () =>
      source.query<{ wait: number }[]>('SELECT @@idle_transaction_timeout AS wait, SLEEP(0.1)'),
    );
    expect((await Promise.all(asked)).map(([row]) => Number(row?.wait))).toEqual(Array(6).fill(60));
    await source.query('CREATE TABLE held (id int PRIMARY KEY)');
    await source.query('INSERT INTO held VALUES (1)');
    const work = new UnitOfWork(source);
    const asleep = work.run(async (manager) => {
      await manager.query('SET SESSION idle_transaction_timeout = 1');
      await manager.query('DELETE FROM held');
      await sleep(1500);
      await manager.query('INSERT INTO held VALUES (2)');
    });
    const other = work.run((manager) => manager.query('INSERT INTO held VALUES (1) ON DUPLICATE KEY UPDATE id = 3'));
    await expect(asleep).rejects.toMatchObject({ code: 'database.unreachable' });
    await other;
    expect(await source.query('SELECT id FROM held')).toEqual([{ id: 3 }]);
    await source.destroy();
  });
});
