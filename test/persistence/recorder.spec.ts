import { randomUUID } from 'node:crypto';
import type { RunRow } from '../../src/database/entities/run-row';
import { Backups } from '../../src/database/repositories/backups';
import { Evidence } from '../../src/database/repositories/evidence';
import { Leases } from '../../src/database/repositories/leases';
import { Links } from '../../src/database/repositories/links';
import { Offerings } from '../../src/database/repositories/offerings';
import { Runs } from '../../src/database/repositories/runs';
import { Schedules } from '../../src/database/repositories/schedules';
import { Vms } from '../../src/database/repositories/vms';
import type { BackupPlan } from '../../src/domain/chain/backup-plan';
import type { BackedUp } from '../../src/domain/chain/settlement';
import { type EndedRun, Recorder } from '../../src/engine/recorder';
import { type OfferingPolicy, toSettings } from '../../src/inventory/offering-policy';
import { aRun, aVm } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

/** An incremental over a bitmap that a stock script had put in the place of the parent's. */
const HOLE: BackedUp = {
  outcome: 'backed-up',
  status: 'BackedUp',
  type: 'INCREMENTAL',
  externalId: 'i-2-7-VM/2026.04.27.13.45.00',
  size: 4096,
  protectedSize: 4096,
  details: [{ name: 'nas.bitmap_recreated', value: 'backup-1' }],
  chainId: randomUUID(),
  position: 1,
  parentUuid: randomUUID(),
  reason: 'regular',
  sentence: '',
  recreation: { bitmap: 'backup-1', method: 'unknown' },
  assurance: 'unproven',
  disks: [],
  needsCleanup: false,
  activeCheckpoint: { change: 'cleared' },
  retire: [],
  findings: [],
};

/** An orchestrator that gets no further than to the run that is to follow. */
class DyingRuns extends Runs {
  override requestUnlessActive(): Promise<never> {
    return Promise.reject(new Error('killed'));
  }
}

describeDatabases('the record of a hole', (databases) => {
  let books: Books;
  let runs: Runs;
  let recorder: Recorder;
  beforeAll(async () => {
    books = await databases.open();
    const { work } = books;
    runs = new Runs(work);
    recorder = recorderWith(runs);
  });
  const recorderWith = (theseRuns: Runs): Recorder => {
    const { work } = books;
    const [backups, links, evidence] = [new Backups(work), new Links(work), new Evidence(work)];
    return new Recorder(
      work,
      backups,
      links,
      evidence,
      theseRuns,
      new Leases(work),
      new Vms(work),
      new Offerings(work),
      new Schedules(work),
    );
  };

  const ended = async (policy: Partial<OfferingPolicy>, different: Partial<RunRow> = {}): Promise<EndedRun> => {
    const vm = await aVm(books);
    const offering = { uuid: randomUUID(), name: randomUUID(), description: null, externalId: null };
    const { id: offeringId } = await new Offerings(books.work).create(offering, toSettings(policy));
    const { run } = await runs.create(aRun(vm.id, different));
    const answer = await new Leases(books.work).acquire(vm.id, run.id, 'a', 60_000);
    if (answer.kind !== 'held') throw new Error('The VM is taken.');
    const { lease } = answer;
    expect(await runs.claim(lease)).not.toBeNull();
    const plan = { kind: 'incremental', quiesce: true, disks: [] } as unknown as BackupPlan;
    const output = { stdout: '', stderr: '', exitCode: 0 };
    return { run, vm, lease, offeringId, plan, facts: null, output, warnings: [] };
  };
  const booked = async ({ vm, run }: EndedRun) => ({
    backups: (await new Backups(books.work).listByVm(vm.id)).map(({ uuid }) => uuid),
    others: (await runs.page({ limit: 10 }, { vmId: vm.id })).items.filter(({ id }) => id !== run.id),
  });

  it('asks for the next backup with it, where the offering says so', async () => {
    const run = await ended({ afterRecreation: 'at-once' });
    const { uuid, next } = await recorder.backedUp(run, HOLE);
    const { backups, others } = await booked(run);
    expect(backups).toEqual([uuid]);
    expect(others).toEqual([next]);
    expect(next).toMatchObject({
      ...{ kind: 'backup', state: 'queued', triggeredBy: 'service', requested: { mode: 'auto', quiesce: true } },
      cause: expect.stringContaining(uuid),
    });
  });

  it('asks for nothing where the offering waits, or where the service had asked for this one', async () => {
    for (const run of [await ended({}), await ended({ afterRecreation: 'at-once' }, { triggeredBy: 'service' })]) {
      expect((await recorder.backedUp(run, HOLE)).next).toBeNull();
      expect((await booked(run)).others).toEqual([]);
    }
  });

  it('is whole or not at all: neither the backup without the run nor the run without the backup', async () => {
    const run = await ended({ afterRecreation: 'at-once' });
    await expect(recorderWith(new DyingRuns(books.work)).backedUp(run, HOLE)).rejects.toThrow('killed');
    expect(await booked(run)).toEqual({ backups: [], others: [] });
    await recorder.backedUp(run, HOLE);
    await expect(recorder.backedUp(run, HOLE)).rejects.toMatchObject({ code: 'lease.lost' });
    const { backups, others } = await booked(run);
    expect([backups.length, others.length]).toEqual([1, 1]);
  });
});
