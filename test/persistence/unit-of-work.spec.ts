import { setTimeout as sleep } from 'node:timers/promises';
import type { InsertResult } from 'typeorm';
import { InvariantError } from '../../src/domain/errors';
import { BackupDetailRow } from '../../src/database/entities/backup-detail-row';
import { StoragePoolRow } from '../../src/database/entities/storage-pool-row';
import { Backups } from '../../src/database/repositories/backups';
import type { DatabaseWork, UnitOfWork } from '../../src/database/unit-of-work';
import { aBackup, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';
import { startScript } from '../support/node-script';

/** Any table will do to see what is committed. */
const put =
  (name: string): DatabaseWork<unknown> =>
  (manager) =>
    manager.insert(StoragePoolRow, { name, poolType: 'Filesystem', dataCenterId: 1, hostAddress: 'h', path: '/' });
const names = (work: UnitOfWork): Promise<(string | null)[]> =>
  work.read(async (manager) => (await manager.find(StoragePoolRow, { order: { id: 'ASC' } })).map(({ name }) => name));

describeDatabases('a unit of work', (databases) => {
  let books: Books;
  let work: UnitOfWork;
  beforeEach(async () => {
    books = await databases.open();
    work = books.work;
  });

  it('is in the books as a whole, or not at all', async () => {
    await work.run(put('kept'));
    const failed = work.run(async (manager) => {
      await put('lost')(manager);
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect(await names(work)).toEqual(['kept']);
  });

  it('writes one statement by itself, and inside another one as a part of it', async () => {
    const heard: string[] = [];
    await work.write(async (manager) => {
      await put('alone')(manager);
      work.onCommit(() => heard.push('alone'));
      expect(heard).toEqual([]);
    });
    const failed = work.run(async () => {
      await work.write(put('part'));
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect(await names(work)).toEqual(['alone']);
    expect(heard).toEqual(['alone']);
    const inside = work.write(() => work.run(put('two')));
    await expect(inside).rejects.toMatchObject({ code: 'database.write-in-read' });
  });

  it('does afterwards what waits for its commit, once, and nothing of it when it came to nothing', async () => {
    const heard: string[] = [];
    const inside = async (name: string): Promise<void> => {
      await work.run(async (manager) => {
        await put(name)(manager);
        work.onCommit(() => heard.push(name));
      });
      expect(heard).not.toContain(name);
    };
    await work.run(() => inside('kept'));
    expect(heard).toEqual(['kept']);
    const failed = work.run(async () => {
      await inside('lost');
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    work.onCommit(() => heard.push('outside'));
    expect(heard).toEqual(['kept', 'outside']);
  });

  it('does not mix with another one that overlaps', async () => {
    const slow = work.run(async (manager) => {
      await put('slow 1')(manager);
      await sleep(50);
      await put('slow 2')(manager);
      throw new Error('slow fails');
    });
    const quick = work.run(put('quick'));
    await expect(slow).rejects.toThrow('slow fails');
    await quick;
    expect(await names(work)).toEqual(['quick']);
  });

  it('shows nothing of itself to a reader before it is committed', async () => {
    let written!: () => void;
    const wrote = new Promise<void>((resolve) => (written = resolve));
    const writer = work.run(async (manager) => {
      await put('not yet')(manager);
      written();
      await sleep(50);
      throw new Error('after all not');
    });
    await wrote;
    const seen = names(work);
    await expect(writer).rejects.toThrow('after all not');
    expect(await seen).toEqual([]);
  });

  it('shows itself to its own reads, and takes units inside it along', async () => {
    const failed = work.run(async () => {
      await work.run(put('inner'));
      expect(await names(work)).toEqual(['inner']);
      throw new Error('outer fails');
    });
    await expect(failed).rejects.toThrow('outer fails');
    expect(await names(work)).toEqual([]);
  });

  it('fails when a unit inside it failed, even if that was caught', async () => {
    const half = work.run(async (manager) => {
      await put('first half')(manager);
      await work.run(() => Promise.reject(new Error('second half'))).catch(() => undefined);
      return 'all is well';
    });
    await expect(half).rejects.toThrow('second half');
    expect(await names(work)).toEqual([]);
  });

  it('refuses to write inside a read', async () => {
    await expect(work.read(() => work.run(put('sneaked in')))).rejects.toBeInstanceOf(InvariantError);
    expect(await names(work)).toEqual([]);
  });

  it('is not joined by what it left behind: that starts a unit of its own, or meets a closed door', async () => {
    let goOn!: () => void;
    const afterwards = new Promise<void>((resolve) => (goOn = resolve));
    let late!: Promise<unknown>;
    let stray!: Promise<unknown>;
    const failed = work.run(async (manager) => {
      late = afterwards.then(() => work.run(put('late, but whole')));
      stray = afterwards.then(() => put('stray')(manager));
      await put('lost')(manager);
      throw new Error('gone');
    });
    await expect(failed).rejects.toThrow('gone');
    goOn();
    await expect(stray).rejects.toThrow(/released/i);
    await late;
    expect(await names(work)).toEqual(['late, but whole']);
  });

  it('goes on after many failures in a row', async () => {
    for (let i = 0; i < 25; i += 1) await expect(work.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await Promise.all(Array.from({ length: 25 }, (_, i) => work.run(put(`row ${i}`))));
    expect((await names(work)).length).toBe(25);
  });

  it('waits for another process that holds the database, and then succeeds', async () => {
    const script = startScript('test/persistence/child/hold-transaction.ts', {
      config: books.config,
      name: 'theirs',
      forMs: 600,
    });
    await script.line('written');
    // On a server only the same row is in the way; the script has locked it.
    await work.run((manager) =>
      manager.update(StoragePoolRow, { name: 'theirs' }, { status: 'Up' }).then(() => put('ours')(manager)),
    );
    expect((await script.end()).err).toBe('');
    expect(await names(work)).toEqual(['theirs', 'ours']);
  });

  it('is done once, even when another process wants to write between its reading and its writing', async () => {
    const other = await databases.reopen(books.config);
    let tries = 0;
    let theirs: Promise<unknown> | undefined;
    await work.run(async (manager) => {
      tries += 1;
      await manager.count(StoragePoolRow);
      theirs ??= other.work.run(put('theirs'));
      await sleep(150);
      await put('ours')(manager);
    });
    await theirs;
    expect(tries).toBe(1);
    expect((await names(work)).sort()).toEqual(['ours', 'theirs']);
  });

  it('leaves nothing when its process is killed in the middle', async () => {
    const script = startScript('test/persistence/child/hold-transaction.ts', {
      config: books.config,
      name: 'never',
      forMs: 60_000,
    });
    await script.line('written');
    await script.kill();
    await work.run(put('after the crash'));
    expect(await names(work)).toEqual(['after the crash']);
    const again = await databases.reopen(books.config);
    expect(await names(again.work)).toEqual(['after the crash']);
  });

  it('never keeps a backup without its details, killed or failed', async () => {
    const backups = new Backups(work);
    const { id: vmId } = await aVm(books);
    const tooLong = [
      { name: 'nas.chain_id', value: 'c' },
      { name: null as unknown as string, value: 'no name' },
    ];
    await expect(backups.insert(aBackup(vmId), tooLong)).rejects.toMatchObject({ family: 'invariant' });
    expect(await backups.listByVm(vmId)).toEqual([]);
    expect(await work.read((manager) => manager.count(BackupDetailRow))).toBe(0);
  });
});

describeDatabases('two units that need the same rows in a different order', (databases) => {
  it('both succeed', async () => {
    const { work } = await databases.open();
    const ids = [];
    for (const name of ['a', 'b']) ids.push(((await work.run(put(name))) as InsertResult).identifiers[0]?.['id'] as number);
    const [a, b] = ids as [number, number];
    let tries = 0;
    const swap = (first: number, second: number): Promise<unknown> =>
      work.run(async (manager) => {
        tries += 1;
        await manager.increment(StoragePoolRow, { id: first }, 'podId', 1);
        await sleep(30);
        await manager.increment(StoragePoolRow, { id: second }, 'podId', 1);
      });
    await work.run((manager) => manager.createQueryBuilder().update(StoragePoolRow).set({ podId: 0 }).execute());
    await Promise.all([swap(a, b), swap(b, a)]);
    const rows = await work.read((manager) => manager.find(StoragePoolRow));
    expect(rows.map(({ podId }) => podId)).toEqual([2, 2]);
    // A server has to choose one that is done again; in a file they take turns.
    expect(tries).toBe(databases.kind === 'mariadb' ? 3 : 2);
  });
});

describeDatabases(
  'a full disk',
  (databases) => {
    it('costs the unit that met it, and no other', async () => {
      const books = await databases.open();
      const { work, dataSource } = books;
      const [{ page_count: pages } = { page_count: 0 }] = await dataSource.query<{ page_count: number }[]>('PRAGMA page_count');
      await dataSource.query(`PRAGMA max_page_count = ${pages + 10}`);
      const big = work.run(async (manager) => {
        for (let i = 0; i < 100; i += 1) await put('x'.repeat(4000))(manager);
      });
      await expect(big).rejects.toMatchObject({ code: 'database.full' });
      await work.run(put('fits'));
      const lost = work.run((manager) => put('lost')(manager).then(() => Promise.reject(new Error('no'))));
      await expect(lost).rejects.toThrow('no');
      expect(await names(work)).toEqual(['fits']);
      // Another connection sees what is committed, and nothing else.
      expect(await names((await databases.reopen(books.config)).work)).toEqual(['fits']);
    });
  },
  // SQLite rolls back by itself then, behind TypeORM's back; a server keeps the transaction.
  ['sqlite'],
);
