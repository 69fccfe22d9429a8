import { Evidence } from '../../src/database/repositories/evidence';
import { describeDatabases, type Books } from '../support/databases';
import { aDisk, anInspectedDisk, anInspection, aRunsFacts } from '../support/facts';

const MIB = 1024 * 1024;
const BITMAP = 'backup-1777297500';

describeDatabases('evidence', (databases) => {
  let books: Books;
  let evidence: Evidence;
  let vmId = 300;
  beforeAll(async () => {
    books = await databases.open();
    evidence = new Evidence(books.work);
  });
  beforeEach(() => {
    vmId += 1;
  });
  const run = { runId: 'run-1', backupId: null, reason: 'redefined', assurance: 'accounted' };

  it('of a run is kept word for word, and in columns', async () => {
    const facts = aRunsFacts([aDisk('vdb', { dirtyBefore: MIB, inode: 4712 }), aDisk('vda')]);
    const verbatim = `{"v":1, "what nobody knows yet": "🐘"}`;
    const id = await evidence.keepRun({ vmId, ...run, backupId: vmId, facts, verbatim });
    expect(await evidence.verbatim(id)).toBe(verbatim);
    expect(await evidence.verbatim(id + 1000)).toBeNull();
    const [row] = await evidence.ofBackups([vmId]);
    expect(row).toMatchObject({
      vmId,
      ...run,
      kind: 'run',
      backupId: vmId,
      hostName: 'kvm1',
      hostBootId: '9f496882-1f9b-47cc-8c91-8b5058456d02',
      vmState: 'running',
      qemuStarted: new Date('2026-04-26T22:00:00.125Z'),
      dirtyBytes: 3 * MIB,
      jobBytes: 4 * MIB,
      ownBytes: 5 * MIB,
      writtenBytes: 20 * MIB,
      jobMs: 120,
      recreateMethod: 'redefined',
    });
    expect(row?.disks).toMatchObject([
      {
        target: 'vda',
        path: '/var/lib/libvirt/images/vda.qcow2',
        inode: 4711,
        bitmap: BITMAP,
        dirtyBefore: 2 * MIB,
        granularity: 65_536,
      },
      { target: 'vdb', method: 'incremental', ownData: 2 * MIB, ownZero: MIB / 2, fileSize: 3 * MIB, checkResult: 'ok' },
    ]);
    expect(Math.abs((row?.at.getTime() ?? 0) - Date.now())).toBeLessThan(5000);
    expect(row).not.toHaveProperty('facts');
  });

  it('of an inspection is about the bitmap that was asked about', async () => {
    const facts = anInspection([anInspectedDisk('vda', BITMAP, 3 * MIB), anInspectedDisk('vdb', BITMAP, 0)]);
    await evidence.keepInspect({ vmId, runId: 'run-1', bitmap: BITMAP, facts, verbatim: '{}' });
    await evidence.keepInspect({ vmId, runId: null, bitmap: 'backup-1', facts, verbatim: '{}' });
    await evidence.keepInspect({ vmId, runId: null, bitmap: null, facts, verbatim: '{}' });
    const [about, missing, none] = await evidence.ofVm(vmId);
    expect(about).toMatchObject({ kind: 'inspect', dirtyBytes: 3 * MIB, jobBytes: null, assurance: null });
    expect(about?.disks).toMatchObject([
      { target: 'vda', bitmap: BITMAP, dirtyBefore: 3 * MIB, granularity: 65_536 },
      { target: 'vdb', bitmap: BITMAP, dirtyBefore: 0 },
    ]);
    for (const other of [missing, none]) {
      expect(other?.dirtyBytes).toBeNull();
      expect(other?.disks[0]).toMatchObject({ bitmap: null, dirtyBefore: null, granularity: null });
    }
  });

  it('never makes a sum of what is only half known, nor a number of what was rounded', async () => {
    const disks = [aDisk('vda'), aDisk('vdb', { dirtyBefore: null, ownZero: null, inode: 2 ** 63, writtenBytes: null })];
    await evidence.keepRun({ vmId, ...run, facts: aRunsFacts(disks), verbatim: '{}' });
    const [row] = await evidence.ofVm(vmId);
    expect(row).toMatchObject({ dirtyBytes: null, ownBytes: null, writtenBytes: null });
    expect(row?.disks[1]).toMatchObject({ target: 'vdb', inode: null });
  });

  it('is kept whatever the host made of it: no disks, one twice, no job, no time, a long path', async () => {
    const bare = { ...aRunsFacts([]), job: null, vm: { name: null, state: null, qemuStarted: 'yesterday' } };
    const twice = aRunsFacts([aDisk('vda', { path: '/a' }), aDisk('vda', { path: `/${'deep/'.repeat(800)}` })]);
    await evidence.keepRun({ vmId, ...run, facts: bare, verbatim: '{}' });
    await evidence.keepRun({ vmId, ...run, facts: twice, verbatim: 'x'.repeat(2_000_000) });
    const [first, second] = await evidence.ofVm(vmId);
    expect(first).toMatchObject({ qemuStarted: null, dirtyBytes: null, jobBytes: null, disks: [] });
    expect(second?.disks.length).toBe(1);
    expect((await evidence.verbatim(second?.id ?? 0))?.length).toBe(2_000_000);
  });

  it('is asked for by VM, by run, by backup, and from a point on', async () => {
    const keep = (runId: string, backupId: number | null): Promise<number> =>
      evidence.keepRun({ vmId, ...run, runId, backupId, facts: aRunsFacts([aDisk('vda')]), verbatim: '{}' });
    const ids = [await keep(`${vmId}-a`, vmId * 10), await keep(`${vmId}-b`, null), await keep(`${vmId}-b`, vmId * 10 + 1)];
    const found = (rows: readonly { readonly id: number }[]): number[] => rows.map(({ id }) => id);
    expect(found(await evidence.ofVm(vmId))).toEqual(ids);
    expect(found(await evidence.ofVm(vmId, ids[0]))).toEqual(ids.slice(1));
    expect(found(await evidence.ofRun(`${vmId}-b`))).toEqual(ids.slice(1));
    expect(found(await evidence.ofBackups([vmId * 10, vmId * 10 + 1]))).toEqual([ids[0], ids[2]]);
    expect(await evidence.ofBackups([])).toEqual([]);
  });

  it('answers questions about lineage in SQL: which disk was recreated under the same path?', async () => {
    for (const inode of [1, 1, 2])
      await evidence.keepRun({
        vmId,
        ...run,
        facts: aRunsFacts([aDisk('vda', { inode }), aDisk('vdb', { inode: 9 })]),
        verbatim: '{}',
      });
    const rows = await books.dataSource.query<unknown[]>(
      `SELECT d.target AS target, d.path AS path, COUNT(DISTINCT d.inode) AS inodes FROM ck_evidence e
         JOIN ck_evidence_disks d ON d.evidence_id = e.id
       WHERE e.vm_id = ${vmId} GROUP BY d.target, d.path HAVING COUNT(DISTINCT d.inode) > 1`,
    );
    expect(rows).toEqual([{ target: 'vda', path: '/var/lib/libvirt/images/vda.qcow2', inodes: 2 }]);
  });
});
