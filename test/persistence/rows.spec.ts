import { EventRow } from '../../src/database/entities/event-row';
import { HostAccessRow } from '../../src/database/entities/host-access-row';
import { HostRow } from '../../src/database/entities/host-row';
import { ManifestRow } from '../../src/database/entities/manifest-row';
import { RunRow } from '../../src/database/entities/run-row';
import { now } from '../../src/database/database-time';
import { addRow, addRows, changeRows, hasRow, joinedRows, marks, putRow, rowsOf } from '../../src/database/rows';
import { type Books, describeDatabases } from '../support/databases';

const AT = new Date('2026-11-29T23:59:59.123Z');
const EVENT = { kind: 'told', vmId: 7, message: `it's "so", \\ and ü?`, at: AT } as const;

describeDatabases('rows by statements that are written out', (databases) => {
  let books: Books;
  beforeAll(async () => {
    books = await databases.open();
  });

  const run = <T>(work: Parameters<Books['work']['run']>[0]): Promise<T> => books.work.run(work) as Promise<T>;

  it('are read as TypeORM reads them, and are what was written', () =>
    run(async (manager) => {
      const seq = await addRow(manager, EventRow, { ...EVENT, facts: { a: ['?', null, 1.5] } });
      const [read] = await rowsOf(manager, EventRow, 'own.seq = ?', [seq]);
      expect(read).toEqual(await manager.findOneBy(EventRow, { seq }));
      expect(read).toMatchObject({ ...EVENT, seq, facts: { a: ['?', null, 1.5] }, runId: null });
      expect(read).toBeInstanceOf(EventRow);
    }));

  it('flags, lists and moments come back, nothing as null', () =>
    run(async (manager) => {
      const said = { backupId: 11, hashVerifies: false, damaged: ['a', 'b'], hashed: AT, whyNot: null };
      await addRow(manager, ManifestRow, said);
      const [read] = await rowsOf(manager, ManifestRow, 'backup_id = ?', [11]);
      expect(read).toEqual(await manager.findOneBy(ManifestRow, { backupId: 11 }));
      expect(read).toMatchObject({ ...said, missing: null, verified: null });
    }));

  it('many at once: what one leaves out is null; none is no statement', () =>
    run(async (manager) => {
      await addRows(manager, EventRow, [
        { ...EVENT, kind: 'many', hostId: 3 },
        { ...EVENT, kind: 'many', reason: 'because', vmId: undefined },
      ]);
      await addRows(manager, EventRow, []);
      const read = await rowsOf(manager, EventRow, `kind = ? ORDER BY seq`, ['many'], ['hostId', 'reason', 'vmId']);
      expect(read.map((row) => ({ ...row }))).toEqual([
        { hostId: 3, reason: null, vmId: 7 },
        { hostId: null, reason: 'because', vmId: null },
      ]);
    }));

  it('a change answers how many rows it met, those among them that were so already', () =>
    run(async (manager) => {
      await addRows(
        manager,
        EventRow,
        [1, 2, 3].map((vmId) => ({ ...EVENT, kind: 'changed', vmId })),
      );
      const change = { reason: 'seen', at: (): string => now(manager), message: undefined };
      expect(await changeRows(manager, EventRow, change, [`kind = 'changed' AND vm_id IN (${marks([1, 2])})`, 1, 2])).toBe(2);
      expect(await changeRows(manager, EventRow, { vmId: 1 }, ["kind = 'changed' AND vm_id = ?", 1])).toBe(1);
      expect(await changeRows(manager, EventRow, change, ["kind = 'nothing'"])).toBe(0);
      const read = await rowsOf(manager, EventRow, "kind = 'changed' ORDER BY vm_id");
      expect(read.map(({ reason, message }) => [reason, message])).toEqual([
        ['seen', EVENT.message],
        ['seen', EVENT.message],
        [null, EVENT.message],
      ]);
      expect(Math.abs((read[0]?.at.getTime() ?? 0) - Date.now())).toBeLessThan(3_600_000);
    }));

  it('a row is put: added, and the second time only what is named changes', () =>
    run(async (manager) => {
      await putRow(manager, ManifestRow, 'backupId', { backupId: 12, tried: AT, whyNot: 'the NAS is away' });
      await putRow(manager, ManifestRow, 'backupId', { backupId: 12, written: AT, whyNot: null });
      const read = await rowsOf(manager, ManifestRow, 'backup_id = ?', [12]);
      expect(read).toMatchObject([{ tried: AT, written: AT, whyNot: null }]);
    }));

  it('what a left join does not find is null', () =>
    run(async (manager) => {
      const host = { uuid: 'u', name: 'h', status: 'Up', type: 'Routing', privateIpAddress: '::1', dataCenterId: 1 };
      const id = await addRow(manager, HostRow, { ...host, hypervisorType: 'KVM', resourceState: 'Enabled' });
      const from = 'FROM host own LEFT JOIN ck_hosts access ON access.host_id = own.id WHERE own.id = ?';
      const read = await joinedRows(manager, { own: HostRow }, { access: HostAccessRow }, from, [id]);
      expect(read).toMatchObject([{ own: { name: 'h' }, access: null }]);
    }));

  it('what lists do not load is not read unless it is asked for', () =>
    run(async (manager) => {
      const asked = { id: 'r', vmId: 1, kind: 'backup', state: 'queued', triggeredBy: 'rest', requested: {} } as const;
      await addRow(manager, RunRow, { ...asked, epoch: 0, attempt: 0, created: AT, stdout: 'said' });
      expect((await rowsOf(manager, RunRow, "id = 'r'"))[0]).not.toHaveProperty('stdout');
      expect((await rowsOf(manager, RunRow, "id = 'r'", [], ['stdout']))[0]?.stdout).toBe('said');
      expect(await hasRow(manager, RunRow, ['id = ?', 'r'])).toBe(true);
      expect(await hasRow(manager, RunRow, [`id IN (${marks([])})`])).toBe(false);
    }));

  it('a number that would be rounded is refused, and so is a column that there is not', async () => {
    await expect(run((manager) => addRow(manager, EventRow, { ...EVENT, vmId: 2 ** 53 }))).rejects.toMatchObject({
      code: 'database.unsafe-integer',
    });
    await expect(run((manager) => changeRows(manager, EventRow, { nothing: 1 } as object, ['1 = 1']))).rejects.toThrow(
      'ck_events has nothing named nothing',
    );
  });
});
