import { setTimeout as sleep } from 'node:timers/promises';
import { type Lease, Leases } from '../../src/database/repositories/leases';
import { Events } from '../../src/database/repositories/events';
import { type ClaimedRun, type NewRun, Runs } from '../../src/database/repositories/runs';
import { aRun } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';

const leaseOf = ({ id, vmId }: Pick<NewRun, 'id' | 'vmId'>, epoch: number, owner: string): Lease => ({
  runId: id,
  vmId,
  epoch,
  owner,
});

describeDatabases('a run', (databases) => {
  let books: Books;
  let runs: Runs;
  let vmId = 200;
  beforeAll(async () => {
    books = await databases.open();
    runs = new Runs(books.work);
  });
  beforeEach(() => {
    vmId += 1;
  });

  const claimed = async (epoch = 1, of = vmId): Promise<ClaimedRun> => {
    const { run } = await runs.create(aRun(of));
    expect(await runs.claim(leaseOf(run, epoch, 'a'))).toMatchObject({ id: run.id, state: 'running', owner: 'a', epoch });
    return { id: run.id, epoch };
  };

  it('is written down before it runs, in the time of the database', async () => {
    const asked = aRun(vmId);
    const { run, created } = await runs.create(asked);
    expect(created).toBe(true);
    expect(run).toMatchObject({ ...asked, state: 'queued', epoch: 0, started: null, ended: null, plan: null, warnings: null });
    expect(Math.abs(run.created.getTime() - Date.now())).toBeLessThan(5000);
    expect(await runs.find(run.id)).toEqual(run);
  });

  it('is the same one for the same idempotency key, however often and however close together', async () => {
    const idempotencyKey = `key-${vmId}`;
    const other = new Runs((await databases.reopen(books.config)).work);
    const answers = await Promise.all([runs, other, runs, other].map((from) => from.create(aRun(vmId, { idempotencyKey }))));
    expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1);
    expect(answers.filter(({ created }) => created).length).toBe(1);
  });

  it('is refused for a key that asked for something else', async () => {
    const idempotencyKey = `key-${vmId}`;
    await runs.create(aRun(vmId, { idempotencyKey }));
    const other = { idempotencyKey, requested: { mode: 'full', quiesce: false } };
    await expect(runs.create(aRun(vmId, other))).rejects.toMatchObject({ code: 'run.key-reused', kind: 'conflict' });
    await expect(runs.create(aRun(vmId + 1000, { idempotencyKey }))).rejects.toMatchObject({ code: 'run.key-reused' });
    // Keys are compared byte by byte.
    expect((await runs.create(aRun(vmId, { idempotencyKey: idempotencyKey.toUpperCase() }))).created).toBe(true);
  });

  it('is asked for by the service with the cause, unless one of the VM goes on or waits', async () => {
    const asked = aRun(vmId, { triggeredBy: 'service', cause: 'A hole 🐘.' });
    const run = await runs.requestUnlessActive(asked);
    expect(run).toMatchObject({ ...asked, state: 'queued' });
    expect(await runs.find(asked.id)).toEqual(run);
    expect(await runs.requestUnlessActive(aRun(vmId))).toBeNull();
    expect(await runs.claim(leaseOf(asked, 1, 'a'))).not.toBeNull();
    expect(await runs.requestUnlessActive(aRun(vmId))).toBeNull();
    expect(await runs.end({ id: asked.id, epoch: 1 }, { state: 'succeeded' })).not.toBeNull();
    expect(await runs.requestUnlessActive(aRun(vmId))).toMatchObject({ state: 'queued', cause: null });
  });

  it('is claimed by one of two', async () => {
    const { run } = await runs.create(aRun(vmId));
    const other = new Runs((await databases.reopen(books.config)).work);
    const both = await Promise.all([runs.claim(leaseOf(run, 1, 'a')), other.claim(leaseOf(run, 2, 'b'))]);
    expect(both.filter((run) => run !== null).length).toBe(1);
    expect((await runs.find(run.id))?.owner).toBe(both[0] ? 'a' : 'b');
  });

  it('is changed by nobody whose epoch has passed', async () => {
    const late = await claimed(1);
    const next = { id: late.id, epoch: 2 };
    expect(await runs.adopt(leaseOf({ id: late.id, vmId }, 2, 'b'))).toMatchObject({ state: 'running', owner: 'b', epoch: 2 });
    expect(await runs.note(late, { jobId: 'late' })).toBe(false);
    expect(await runs.markUnknown(late, 'host.gone', 'gone')).toBe(false);
    expect(await runs.end(late, { state: 'failed' })).toBeNull();
    expect(await runs.adopt(leaseOf({ id: late.id, vmId }, 1, 'a'))).toBeNull();
    expect(await runs.adopt(leaseOf({ id: late.id, vmId }, 2, 'c'))).toBeNull();
    expect(await runs.find(late.id)).toMatchObject({ state: 'running', owner: 'b', epoch: 2, jobId: null });
    expect(await runs.note(next, { jobId: 'ours', plan: { kind: 'full' }, progress: { done: 1, total: 2 } })).toBe(true);
    expect(await runs.end(next, { state: 'succeeded', exitCode: 0 })).not.toBeNull();
    expect(await runs.end(next, { state: 'failed' })).toBeNull();
    expect(await runs.adopt(leaseOf({ id: late.id, vmId }, 3, 'c'))).toBeNull();
    expect(await runs.find(late.id)).toMatchObject({ state: 'succeeded', exitCode: 0, jobId: 'ours', plan: { kind: 'full' } });
  });

  it('lets whoever listens hear what became of it, once it is in the books, and what came too late', async () => {
    const heard: string[] = [];
    const own = new Runs(books.work);
    own.onTold(({ attempt }, { kind, reason }) => heard.push(`${kind} ${reason ?? attempt}`));
    own.onLate(() => heard.push('late'));
    const { run } = await own.create(aRun(vmId));
    const [first, second] = [1, 2].map((epoch) => ({ id: run.id, epoch })) as [ClaimedRun, ClaimedRun];
    await own.claim(leaseOf(run, 1, 'a'));
    await own.adopt(leaseOf(run, 2, 'b'));
    await own.noteProgress(first, { done: 1, total: 2 }, 0);
    await own.markUnknown(second, 'host.unreachable', 'x');
    await expect(
      books.work.run(async () => {
        await own.end(second, { state: 'succeeded' });
        throw new Error('not in the books');
      }),
    ).rejects.toThrow('not in the books');
    await own.end(second, { state: 'failed', errorCode: 'job-failed' });
    await own.end(second, { state: 'succeeded' });
    expect(heard).toEqual(['started 0', 'recovered 0', 'late', 'unknown host.unreachable', 'failed job-failed', 'late']);
  });

  it('tells how far it is at each quarter once it has gone on for a minute, and once that its host keeps silent', async () => {
    const events = new Events(books.work);
    const told = async (id: string): Promise<string[]> =>
      (await events.page({ limit: 20 }, { runId: id })).items.map(({ kind, reason }) => `${kind} ${reason ?? ''}`).reverse();
    const young = await claimed();
    await runs.noteProgress(young, { done: 60, total: 100 }, 0);
    expect(await told(young.id)).toEqual(['queued rest', 'started ']);
    const run = await claimed(1, vmId + 1000);
    const started = new Date(Date.now() - 61_000).toISOString().replace('T', ' ').replace('Z', '');
    await books.dataSource.query(`UPDATE ck_runs SET started = '${started}' WHERE id = '${run.id}'`);
    for (const [before, done] of [
      [0, 24],
      [24, 25],
      [25, 49],
      [49, 80],
      [80, 100],
    ] as const)
      await runs.noteProgress(run, { done, total: 100 }, before);
    expect(await runs.noteProgress({ ...run, epoch: 0 }, { done: 60, total: 100 }, 0)).toBe(false);
    expect(await told(run.id)).toEqual(['queued rest', 'started ', 'progress quarter', 'progress three-quarters']);
    const [, last] = (await events.page({ limit: 20 }, { runId: run.id, kind: 'progress' })).items.reverse();
    expect(last).toMatchObject({ vmId: vmId + 1000, message: '80 of 100 bytes are done.', facts: { done: 80, total: 100 } });
    // However often a silent host is asked.
    for (const code of ['host.unreachable', 'host.unreachable', 'host.busy', 'host.busy'])
      expect(await runs.markUnknown(run, code, 'x')).toBe(true);
    expect((await told(run.id)).slice(4)).toEqual(['unknown host.unreachable', 'unknown host.busy']);
    // It answers, and later no more.
    expect(await runs.hearAgain({ ...run, epoch: 0 })).toBe(false);
    expect(await runs.hearAgain(run)).toBe(true);
    expect(await runs.find(run.id)).toMatchObject({ state: 'running', errorCode: null, errorMessage: null, ended: null });
    expect(await runs.hearAgain(run)).toBe(false);
    await runs.markUnknown(run, 'host.busy', 'x');
    expect((await told(run.id)).slice(6)).toEqual(['answered ', 'unknown host.busy']);
  });

  it('keeps what the script printed, out of the lists', async () => {
    const run = await claimed();
    const stderr = `first words${'x'.repeat(3_000_000)}last words`;
    await runs.end(run, {
      state: 'failed',
      errorCode: 'host.mount-failed',
      errorMessage: 'no 🐘',
      exitCode: 32,
      stdout: '',
      stderr,
      warnings: ['w'],
    });
    const log = await runs.log(run.id);
    expect(log?.stdout).toBe('');
    expect(log?.stderr).toMatch(/^first words/);
    expect(log?.stderr).toMatch(/last words$/);
    expect(log?.stderr).toMatch(/\n\.\.\. 1951445 characters left out \.\.\.\n/);
    const row = await runs.find(run.id);
    expect(row).toMatchObject({ exitCode: 32, errorMessage: 'no 🐘', warnings: ['w'] });
    expect(row?.ended?.getTime()).toBeGreaterThanOrEqual(row?.started?.getTime() ?? Infinity);
    expect(row).not.toHaveProperty('stderr');
    expect(await runs.log('none')).toBeNull();
  });

  it('loses its error when it succeeds after all', async () => {
    const run = await claimed();
    await runs.markUnknown(run, 'host.unreachable', 'The host does not answer.');
    expect(await runs.find(run.id)).toMatchObject({ state: 'unknown', errorCode: 'host.unreachable', ended: null });
    await runs.end(run, { state: 'succeeded' });
    expect(await runs.find(run.id)).toMatchObject({ state: 'succeeded', errorCode: null, errorMessage: null });
  });

  it('waits for its next attempt as if nothing had been decided, and keeps what became of the one before', async () => {
    const run = await claimed(1);
    await runs.note(run, {
      hostId: 7,
      plan: { kind: 'full' },
      jobId: 'job',
      reason: 'no-parent',
      progress: { done: 1, total: 2 },
    });
    const failed = { errorCode: 'host.busy', errorMessage: 'no', warnings: ['attempt 1 failed'] };
    expect(await runs.retryLater({ ...run, epoch: 0 }, { ...failed, afterMs: 500 })).toBe(false);
    expect(await runs.retryLater(run, { ...failed, afterMs: 500 })).toBe(true);
    const waiting = await runs.find(run.id);
    expect(waiting).toMatchObject({
      ...{ ...failed, state: 'queued', attempt: 1, started: null, ended: null },
      ...{ owner: null, hostId: null, plan: null, jobId: null, reason: null, progress: null },
    });
    expect(Math.abs((waiting?.notBefore?.getTime() ?? 0) - Date.now() - 500)).toBeLessThan(400);
    expect(await runs.claim(leaseOf({ ...run, vmId }, 2, 'b'))).toBeNull();
    await sleep(600);
    // Whoever had it before and wakes up now comes too late, although it is free.
    expect(await runs.claim(leaseOf({ ...run, vmId }, run.epoch, 'a'))).toBeNull();
    expect(await runs.claim(leaseOf({ ...run, vmId }, 2, 'b'))).not.toBeNull();
    expect(await runs.find(run.id)).toMatchObject({ state: 'running', attempt: 1, warnings: ['attempt 1 failed'] });
    // Somebody wants it to stop.
    await runs.askToAbort(run.id);
    expect(await runs.retryLater({ ...run, epoch: 2 }, { ...failed, afterMs: 1 })).toBe(false);
  });

  it('is not taken while another one of its VM goes on, whoever holds the lease', async () => {
    const going = await claimed(1);
    const { run } = await runs.create(aRun(vmId));
    expect(await runs.claim(leaseOf(run, 2, 'b'))).toBeNull();
    await runs.markUnknown(going, 'c', 'm');
    expect(await runs.claim(leaseOf(run, 2, 'b'))).toBeNull();
    await runs.end(going, { state: 'failed' });
    expect(await runs.claim(leaseOf(run, 2, 'b'))).not.toBeNull();
  });

  it('is cancelled only while it waits', async () => {
    const { run } = await runs.create(aRun(vmId));
    expect(await runs.endQueued(run.id, { state: 'cancelled' })).toBe(true);
    expect(await runs.claim(leaseOf(run, 1, 'a'))).toBeNull();
    const going = await claimed();
    expect(await runs.endQueued(going.id, { state: 'cancelled' })).toBe(false);
  });
});

describeDatabases('the list of runs', (databases) => {
  let runs: Runs;
  let leases: Leases;
  beforeEach(async () => {
    const { work } = await databases.open();
    runs = new Runs(work);
    leases = new Leases(work);
  });
  const make = async (vmId: number): Promise<string> => (await runs.create(aRun(vmId))).run.id;
  const ids = (rows: readonly { readonly id: string }[]): string[] => rows.map(({ id }) => id);

  it('comes in parts without gaps or repeats, while new ones arrive', async () => {
    const made = [];
    for (let i = 0; i < 5; i += 1) made.unshift(await make(1 + (i % 2)));
    const first = await runs.page({ limit: 2 });
    await make(1);
    const second = await runs.page({ limit: 2, after: first.next ?? 0 });
    const third = await runs.page({ limit: 2, after: second.next ?? 0 });
    expect(ids([...first.items, ...second.items, ...third.items])).toEqual(made);
    expect(third.next).toBeNull();
    expect((await runs.page({ limit: 10 }, { vmId: 2 })).items.length).toBe(2);
    expect((await runs.page({ limit: 6 }, { states: ['queued'] })).next).toBeNull();
    expect((await runs.page({ limit: 6 }, { states: ['failed'] })).items).toEqual([]);
  });

  it('tells which runs their owner has left', async () => {
    const start = async (vmId: number, forMs: number): Promise<ClaimedRun> => {
      const id = await make(vmId);
      const answer = await leases.acquire(vmId, id, 'a', forMs);
      if (answer.kind !== 'held') throw new Error('The VM is taken.');
      expect(await runs.claim(answer.lease)).not.toBeNull();
      return { id, epoch: answer.lease.epoch };
    };
    await start(1, 60_000);
    const dead = await start(2, 30);
    const unknown = await start(3, 30);
    expect(await runs.markUnknown(unknown, 'c', 'm')).toBe(true);
    expect(await runs.end(await start(4, 30), { state: 'failed' })).not.toBeNull();
    await make(5);
    await sleep(100);
    expect(ids(await runs.abandoned(10))).toEqual([dead.id, unknown.id]);
    const answer = await leases.acquire(2, dead.id, 'b', 60_000);
    if (answer.kind === 'held') await runs.adopt(answer.lease);
    expect(ids(await runs.abandoned(10))).toEqual([unknown.id]);
  });
});
