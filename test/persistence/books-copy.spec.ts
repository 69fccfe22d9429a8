import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { exportBooks } from '../../src/database/copies/export-books';
import { importBooks } from '../../src/database/copies/import-books';
import { createDataSource, type DatabaseConfig } from '../../src/database/data-source';
import { ENTITIES } from '../../src/database/entities';
import { migrate } from '../../src/database/migrate';
import { openBooks } from '../../src/database/open-books';
import { BackupRepositories } from '../../src/database/repositories/backup-repositories';
import { Backups } from '../../src/database/repositories/backups';
import { Leases } from '../../src/database/repositories/leases';
import { Protections } from '../../src/database/repositories/protections';
import { Restores } from '../../src/database/repositories/restores';
import { Runs } from '../../src/database/repositories/runs';
import { Vms } from '../../src/database/repositories/vms';
import { aBackup, aRun, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

const WHOLE = { secrets: true };
const NASTY = 'ß 😀 "quoted" \\ \n\r\t   \' ; DROP TABLE backups; --';

/** The copy's lines; of the head without the time. */
function linesOf(file: string): unknown[] {
  const [head, ...rest] = gunzipSync(readFileSync(file))
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return [{ ...head, made: null }, ...rest];
}

describeDatabases('a copy of the books', (databases) => {
  const folder = mkdtempSync(join(tmpdir(), 'ck-copies-'));
  let files = 0;
  const file = (): string => join(folder, `copy-${(files += 1)}.jsonl.gz`);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const sqlite = (): DatabaseConfig => ({ kind: 'sqlite', path: join(folder, `books-${(files += 1)}.sqlite`) });

  /** Books with something of everything: unusual texts, the largest number, unknown moments, more rows than a page. */
  async function filled(): Promise<Books & { vmId: number }> {
    const books = await databases.open();
    const { work } = books;
    const vm = await aVm(books);
    const backups = new Backups(work);
    for (let at = 0; at < 230; at += 1)
      await backups.insert(aBackup(vm.id, { name: `b${at}`, date: new Date(Date.UTC(2026, 0, 1, 0, 0, at)) }), [
        { name: 'nas.chain_id', value: randomUUID() },
        { name: 'nas.chain_position', value: String(at) },
      ]);
    const odd = await backups.insert(aBackup(vm.id, { description: NASTY, size: Number.MAX_SAFE_INTEGER, date: null }), []);
    await backups.remove(odd.id);
    await new Protections(work).set({ backupId: odd.id, until: new Date('2030-01-02T03:04:05Z'), protectedBy: 'ü', why: NASTY });
    await new BackupRepositories(work).create(
      { uuid: randomUUID(), name: 'nas1', type: 'cifs', address: '//nas/x', mountOpts: 'vers=3.0,password=s3cret,ro' },
      { bandwidth: 40 },
    );
    await new Vms(work).setActiveCheckpoint(vm.id, 'backup-1');
    await new Restores(work).begin({
      ...{ runId: randomUUID(), backupId: odd.id, backupUuid: odd.uuid, vmId: vm.id, way: 'in-place', assurance: 'broken' },
      ...{ acceptedLevel: 'broken', acceptedBy: 'ü', acceptedWhy: NASTY },
    });
    return { ...books, vmId: vm.id };
  }

  it('comes back row by row, in whatever database', async () => {
    const { config } = await filled();
    const first = file();
    const done = await exportBooks(config, first, WHOLE);
    expect(done.rows).toMatchObject({ backups: 231, backup_details: 460, ck_protections: 1, ck_restores: 1, vm_instance: 1 });
    expect(statSync(first).mode & 0o777).toBe(0o600);
    expect(readFileSync(first).includes('s3cret')).toBe(false); // it is packed
    expect(JSON.stringify(linesOf(first))).toContain('s3cret');
    const there = await databases.fresh();
    for (const [from, to] of [
      [first, sqlite()],
      [first, there],
    ] as const) {
      expect((await importBooks(to, from)).rows).toEqual(done.rows);
      // It is marked until somebody has compared it with the NAS; then it is the same.
      const vms = new Vms((await databases.reopen(to)).work);
      expect(await vms.notCompared()).toEqual([expect.objectContaining({ vmId: 1, value: done.made })]);
      await vms.setCompared(1);
      const again = file();
      await exportBooks(to, again, WHOLE);
      expect(linesOf(again)).toEqual(linesOf(first));
    }
    // As our own code reads it, value by value, and new rows come after the old ones.
    const [ours, theirs] = [await databases.reopen(config), await databases.reopen(there)];
    for (const entity of ENTITIES)
      expect(await theirs.dataSource.manager.find(entity)).toEqual(await ours.dataSource.manager.find(entity));
    const before = (await new Backups(theirs.work).page({ limit: 1 })).items[0]?.id ?? 0;
    const { id } = await new Backups(theirs.work).insert(aBackup(1), []);
    expect(id).toBeGreaterThan(before);
  });

  it('is of one moment, and holds nobody up who writes meanwhile', async () => {
    const { config, work, vmId } = await filled();
    const backups = new Backups(work);
    let [written, over] = [0, false];
    const writing = (async () => {
      while (!over) {
        await backups.insert(aBackup(vmId), [
          { name: 'nas.type', value: 'full' },
          { name: 'ck.mark', value: 'both' },
        ]);
        written += 1;
        // On one connection nothing here waits for anything, and files would never have their turn.
        await new Promise((later) => setImmediate(later));
      }
    })();
    const copies = [];
    for (let turn = 0; turn < 5; turn += 1) copies.push(await exportBooks(config, file(), WHOLE));
    over = true;
    await writing;
    expect(written).toBeGreaterThan(0);
    // Each backup with its two details or not at all.
    for (const { rows } of copies) expect((rows['backup_details'] ?? 0) - 460).toBe(2 * ((rows['backups'] ?? 0) - 231));
  });

  it('leaves the secrets out where it is told, and says of which repositories', async () => {
    const { config } = await filled();
    const copy = file();
    const done = await exportBooks(config, copy, { secrets: false });
    expect(done.secretsLeftOut).toEqual(['nas1']);
    expect(JSON.stringify(linesOf(copy))).not.toContain('s3cret');
    const to = await databases.fresh();
    expect((await importBooks(to, copy)).secretsLeftOut).toEqual(['nas1']);
    const repositories = new BackupRepositories((await databases.reopen(to)).work);
    expect((await repositories.find('nas1'))?.mountOpts).toBe('vers=3.0,ro');
  });

  it('comes back whole or not at all', async () => {
    const { config } = await filled();
    const copy = file();
    await exportBooks(config, copy, WHOLE);
    const packed = readFileSync(copy);
    const text = gunzipSync(packed).toString('utf8');
    const lines = text.trimEnd().split('\n');
    const twice = text.replace(/\n(\[[^\n]*"b7"[^\n]*\])\n/, '\n$1\n$1\n');
    const broken: [string, Buffer][] = [
      ['cut off', packed.subarray(0, packed.length - 40)],
      ['nearly nothing', packed.subarray(0, 12)],
      ['nothing', Buffer.alloc(0)],
      ['not packed', Buffer.from(text)],
      ...Array.from({ length: 20 }, (_, nth): [string, Buffer] => {
        const place = 20 + Math.floor((nth * (packed.length - 40)) / 20);
        return [`byte ${place} flipped`, Buffer.from(packed.map((byte, at) => (at === place ? byte ^ 1 : byte)))];
      }),
      ['without its end', gzipSync(`${lines.slice(0, -1).join('\n')}\n`)],
      ['a row short', gzipSync(`${lines.filter((_, at) => at !== lines.length - 3).join('\n')}\n`)],
      ['a row twice', gzipSync(twice)],
      ['a row twice, and counted so', gzipSync(twice.replace('"backups":231', '"backups":232'))],
      ['going on', gzipSync(`${text}[1]\n`)],
      ['a table of nobody', gzipSync(text.replace('{"table":"backups"', '{"table":"backups; --"'))],
      ['a column of nobody', gzipSync(text.replace('"columns":["id"', '"columns":["id` x"'))],
      ['not a copy', gzipSync('{"format":"other"}\n')],
    ];
    const to = await databases.fresh();
    for (const [what, bytes] of broken) {
      const bad = file();
      writeFileSync(bad, bytes);
      const error = await importBooks(to, bad).then(
        () => 'it was taken',
        (thrown: { code?: string }) => thrown.code,
      );
      expect([what, error]).toEqual([what, what === 'a row twice, and counted so' ? 'database.duplicate' : 'books.unreadable']);
    }
    expect(await importBooks(to, join(folder, 'none')).catch((thrown: { code: string }) => thrown.code)).toBe('books.unreadable');
    // Nothing of all that stayed: the good one still finds an empty database.
    expect((await importBooks(to, copy)).rows['backups']).toBe(231);
    await expect(importBooks(to, copy)).rejects.toMatchObject({ code: 'books.not-empty', kind: 'conflict' });
  });

  it('of an older version is brought up to date; of a newer one it is refused', async () => {
    const config = await databases.fresh();
    const source = await createDataSource(config);
    const names = source.migrations.map(({ name, constructor }) => name ?? constructor.name);
    const older = names.slice(0, 3);
    expect(await migrate(source, { upTo: older })).toEqual(older);
    await source.query(
      `INSERT INTO vm_instance (id, name, uuid, instance_name, state, data_center_id, account_id, domain_id, service_offering_id)
       VALUES (7, 'web', 'u', 'i-2-7-VM', 'Running', 1, 1, 1, 1)`,
    );
    const copy = file();
    expect((await exportBooks(config, copy, WHOLE)).migrations).toEqual(older);
    const to = await databases.fresh();
    await importBooks(to, copy);
    const { work, dataSource } = await databases.reopen(to);
    expect((await new Vms(work).find('u'))?.instanceName).toBe('i-2-7-VM');
    expect(await migrate(dataSource)).toEqual([]);
    // Newer tables, though empty, would not be what the rows were made for.
    await expect(importBooks((await databases.open()).config, copy)).rejects.toMatchObject({ code: 'books.other-version' });
    const [head, ...rest] = gunzipSync(readFileSync(copy)).toString('utf8').split('\n');
    const newer = file();
    writeFileSync(newer, gzipSync([head?.replace('"migrations":[', '"migrations":["FromTheFuture1",'), ...rest].join('\n')));
    await expect(importBooks(await databases.fresh(), newer)).rejects.toMatchObject({ code: 'books.newer' });

    // The service makes one by itself before it changes the tables, and one without secrets for the repositories.
    await source.destroy();
    const copies = join(folder, 'before');
    await (await openBooks(config, copies)).close();
    await (await openBooks(config, copies)).close();
    const [made, ...others] = readdirSync(copies).sort();
    expect(made).toMatch(/^before-\d{4}(\.\d\d){5}\.jsonl\.gz$/);
    expect(others).toEqual([made?.replace('before', 'books')]);
    expect(linesOf(join(copies, made ?? ''))).toEqual([...linesOf(copy)]);
    const [first, ...rows] = linesOf(copy);
    expect(linesOf(join(copies, others[0] ?? ''))).toEqual([{ ...(first as object), secretsLeftOut: [] }, ...rows]);
    await source.destroy().catch(() => undefined);
  });

  it('tables are not changed where no copy of them could be made', async () => {
    const config = await databases.fresh();
    const source = await createDataSource(config);
    await migrate(source, { upTo: [source.migrations[0]?.name ?? source.migrations[0]?.constructor.name ?? ''] });
    const blocked = join(folder, 'a-file');
    writeFileSync(blocked, '');
    await expect(openBooks(config, join(blocked, 'copies'))).rejects.toMatchObject({ code: 'books.copy-failed' });
    expect(await source.query('SELECT COUNT(*) AS n FROM ck_migrations')).toEqual([{ n: expect.anything() }]);
    expect(Number((await source.query('SELECT COUNT(*) AS n FROM ck_migrations'))[0].n)).toBe(1);
    await source.destroy();
  });

  it('wakes up in another time: no lease is held, epochs are above all that hosts have seen, nothing is begun twice', async () => {
    const books = await databases.open();
    const [runs, leases] = [new Runs(books.work), new Leases(books.work)];
    const [one, two, three] = [await aVm(books), await aVm(books), await aVm(books)];
    const queued = (await runs.create(aRun(one.id))).run;
    const started: string[] = [];
    for (const [vm, plan] of [
      [two, null],
      [three, { kind: 'full' }],
    ] as const) {
      const { run } = await runs.create(aRun(vm.id));
      const answer = await leases.acquire(vm.id, run.id, 'orchestrator', 3_600_000);
      if (answer.kind !== 'held') throw new Error('taken');
      await runs.claim(answer.lease);
      if (plan !== null) await runs.note({ id: run.id, epoch: answer.lease.epoch }, { plan });
      started.push(run.id);
    }
    await books.work.run((manager) => manager.query('UPDATE ck_vm_leases SET epoch = 5 WHERE vm_id = ?', [two.id]));
    const copy = file();
    await exportBooks(books.config, copy, WHOLE);
    const to = await databases.fresh();
    expect((await importBooks(to, copy)).cancelled).toBe(2);
    const there = await databases.reopen(to);
    const [theirs, theirLeases] = [new Runs(there.work), new Leases(there.work)];
    expect((await theirs.find(queued.id))?.state).toBe('cancelled');
    expect(await theirs.find(started[0] ?? '')).toMatchObject({
      state: 'cancelled',
      errorCode: 'run.cancelled',
      ended: expect.any(Date),
    });
    expect((await theirs.abandoned(10)).map(({ id }) => id)).toEqual([started[1]]);
    const next = await theirLeases.acquire(two.id, randomUUID(), 'other', 1000);
    expect(next.kind === 'held' && next.lease.epoch).toBeGreaterThan(Date.now() / 1000 - 600);
  });

  it('there are no books to copy', async () => {
    await expect(exportBooks(await databases.fresh(), file(), WHOLE)).rejects.toMatchObject({ code: 'books.none' });
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  });
});
