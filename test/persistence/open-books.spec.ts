import { mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test } from '@nestjs/testing';
import { DatabaseModule } from '../../src/database/database.module';
import { openBooks } from '../../src/database/open-books';
import { BackupRepositories } from '../../src/database/repositories/backup-repositories';
import { Backups } from '../../src/database/repositories/backups';
import { Evidence } from '../../src/database/repositories/evidence';
import { Hosts } from '../../src/database/repositories/hosts';
import { Leases } from '../../src/database/repositories/leases';
import { Links } from '../../src/database/repositories/links';
import { Offerings } from '../../src/database/repositories/offerings';
import { Runs } from '../../src/database/repositories/runs';
import { Vms } from '../../src/database/repositories/vms';
import { Volumes } from '../../src/database/repositories/volumes';
import { UnitOfWork } from '../../src/database/unit-of-work';
import { aRun } from '../support/books';
import { describeDatabases } from '../support/databases';
import { startScript } from '../support/node-script';

describe('a SQLite file that is served', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ck-serve-'));
    path = join(folder, 'new/books.sqlite');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const serve = () => startScript('test/persistence/child/serve.ts', { kind: 'sqlite', path });

  it('is refused to a second process, which learns who has it', async () => {
    const first = serve();
    await first.line('serving');
    const second = await serve().end();
    expect(second.code).toBe(1);
    expect(JSON.parse(second.out)).toMatchObject({ code: 'database.in-use', kind: 'busy' });
    expect(second.out).toContain(`process ${first.pid} on `);
    await expect(openBooks({ kind: 'sqlite', path })).rejects.toMatchObject({ code: 'database.in-use' });
    await first.kill();
  });

  it('is free at once when that process is killed', async () => {
    const first = serve();
    await first.line('serving');
    await first.kill();
    const books = await openBooks({ kind: 'sqlite', path });
    expect(books.migrated).toEqual([]);
    await books.close();
  });

  it('goes to one of many that start at once', async () => {
    const all = [serve(), serve(), serve()];
    const first = await Promise.any(all.map(async (script) => (await script.line('serving'), script)));
    const losers = await Promise.all(all.filter((script) => script !== first).map((script) => script.end()));
    for (const { out } of losers) expect(JSON.parse(out)).toMatchObject({ code: 'database.in-use' });
    await first.kill();
  });

  it('is the same file by another name', async () => {
    const books = await openBooks({ kind: 'sqlite', path });
    symlinkSync(path, join(folder, 'alias'));
    await expect(openBooks({ kind: 'sqlite', path: join(folder, 'alias') })).rejects.toMatchObject({ code: 'database.in-use' });
    await books.close();
    await (await openBooks({ kind: 'sqlite', path })).close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});

describeDatabases('the database module', (databases) => {
  it('gives every book, and closes them at the end', async () => {
    const config = await databases.fresh();
    const module = await Test.createTestingModule({ imports: [DatabaseModule.with(config)] }).compile();
    await module.init();
    const all = [UnitOfWork, Backups, Links, Runs, Leases, Evidence, Vms, Volumes, Hosts, BackupRepositories, Offerings];
    for (const books of all) expect(module.get<object>(books)).toBeInstanceOf(books);
    const { run } = await module.get(Runs).create(aRun(1));
    expect(await module.get(Runs).find(run.id)).toEqual(run);
    const closed = module.get(Runs);
    await module.close();
    await expect(closed.find(run.id)).rejects.toThrow();
    const again = await openBooks(config);
    expect(await new Runs(new UnitOfWork(again.dataSource)).find(run.id)).toEqual(run);
    await again.close();
  });
});
