import { setTimeout as sleep } from 'node:timers/promises';
import { Leases, type Lease, type LeaseAnswer } from '../../src/database/repositories/leases';
import { Runs } from '../../src/database/repositories/runs';
import { aRun } from '../support/books';
import { describeDatabases, type Books } from '../support/databases';
import { startScript } from '../support/node-script';

const LONG = 60_000;
const SHORT = 60;

function held(answer: LeaseAnswer): Lease {
  if (answer.kind !== 'held') throw new Error(`it is held by ${answer.by.owner}`);
  return answer.lease;
}

describeDatabases('a lease', (databases) => {
  let books: Books;
  let leases: Leases;
  let vmId = 100;
  beforeAll(async () => {
    books = await databases.open();
    leases = new Leases(books.work);
  });
  beforeEach(() => {
    vmId += 1;
  });

  it('is held by one at a time, and says by whom', async () => {
    const lease = held(await leases.acquire(vmId, 'run-1', 'a', LONG));
    expect(lease).toEqual({ vmId, runId: 'run-1', owner: 'a', epoch: expect.any(Number) });
    expect(await leases.acquire(vmId, 'run-2', 'b', LONG)).toMatchObject({
      kind: 'busy',
      by: { runId: 'run-1', owner: 'a', epoch: lease.epoch },
    });
    expect(await leases.acquire(vmId + 1000, 'run-3', 'b', LONG)).toMatchObject({ kind: 'held' });
  });

  it('goes to the next with a higher epoch, after it was given back', async () => {
    const first = held(await leases.acquire(vmId, 'run-1', 'a', LONG));
    expect(await leases.release(first)).toBe(true);
    const second = held(await leases.acquire(vmId, 'run-2', 'b', LONG));
    expect(second.epoch).toBe(first.epoch + 1);
    expect(await leases.release(first)).toBe(false);
    expect(await leases.find(vmId)).toMatchObject({ runId: 'run-2', owner: 'b' });
  });

  it('keeps its epoch when nobody holds it: it never goes back', async () => {
    const epochs: number[] = [];
    for (let round = 1; round <= 3; round += 1) {
      const lease = held(await leases.acquire(vmId, `run-${round}`, 'a', LONG));
      epochs.push(lease.epoch);
      await leases.release(lease);
    }
    const [first = 0] = epochs;
    expect(epochs).toEqual([first, first + 1, first + 2]);
    expect(await leases.find(vmId)).toEqual({ vmId, runId: null, owner: null, epoch: first + 2, leaseUntil: null });
  });

  it('begins above what a host may remember of the same VM under another id, or from other books', async () => {
    const before = Math.floor(Date.now() / 1000);
    expect(held(await leases.acquire(vmId, 'run-1', 'a', LONG)).epoch).toBeGreaterThanOrEqual(before);
  });

  it('is kept for as long as it is renewed', async () => {
    const lease = held(await leases.acquire(vmId, 'run-1', 'a', 1500));
    for (let i = 0; i < 4; i += 1) {
      await sleep(500);
      expect(await leases.renew(lease, 1500)).toBe(true);
    }
    expect(await leases.acquire(vmId, 'run-2', 'b', LONG)).toMatchObject({ kind: 'busy' });
  });

  it('is lost by an owner that slept through it: it can renew, hold and give back nothing', async () => {
    const slept = held(await leases.acquire(vmId, 'run-1', 'a', SHORT));
    await sleep(2 * SHORT);
    expect(await leases.renew(slept, LONG)).toBe(false);
    await expect(leases.hold(slept)).rejects.toMatchObject({ code: 'lease.lost' });
    const next = held(await leases.acquire(vmId, 'run-1', 'b', LONG));
    expect(next.epoch).toBe(slept.epoch + 1);
    expect(await leases.renew(slept, LONG)).toBe(false);
    expect(await leases.release(slept)).toBe(false);
    await expect(leases.hold(slept)).rejects.toMatchObject({ code: 'lease.lost' });
    expect(await leases.renew(next, LONG)).toBe(true);
  });

  it('takes back what was written in the same transaction, when it is lost', async () => {
    const runs = new Runs(books.work);
    const run = aRun(vmId);
    const slept = held(await leases.acquire(vmId, run.id, 'a', SHORT));
    await sleep(2 * SHORT);
    const record = books.work.run(async () => {
      await runs.create(run);
      await leases.hold(slept);
    });
    await expect(record).rejects.toMatchObject({ code: 'lease.lost' });
    expect(await runs.find(run.id)).toBeNull();
  });

  it('cannot be taken while its holder records, even when it runs out meanwhile', async () => {
    const other = await databases.reopen(books.config);
    const lease = held(await leases.acquire(vmId, 'run-1', 'a', 150));
    let taken: Promise<LeaseAnswer> | undefined;
    let order = '';
    await books.work.run(async () => {
      await leases.hold(lease);
      taken = new Leases(other.work).acquire(vmId, 'run-2', 'b', LONG).finally(() => (order += 'taken'));
      await sleep(300);
      order += 'recorded ';
    });
    expect(held((await taken) as LeaseAnswer).epoch).toBe(lease.epoch + 1);
    expect(order).toBe('recorded taken');
  });

  it('goes to exactly one of many that want it at once, from several connections', async () => {
    const others = await Promise.all([1, 2, 3].map(() => databases.reopen(books.config)));
    const all = [leases, ...others.map(({ work }) => new Leases(work))];
    const answers = await Promise.all(
      all.flatMap((from, i) => [1, 2, 3].map((n) => from.acquire(vmId, `run-${i}-${n}`, `o${i}`, LONG))),
    );
    const winners = answers.filter(({ kind }) => kind === 'held');
    expect(winners.length).toBe(1);
    expect((await leases.find(vmId))?.epoch).toBe(held(winners[0] as LeaseAnswer).epoch);
    expect(
      answers.filter((answer) => answer.kind === 'busy' && answer.by.runId === held(winners[0] as LeaseAnswer).runId).length,
    ).toBe(11);
  });

  it('goes to exactly one of two processes, round after round', async () => {
    const rounds = 40;
    const argument = { config: books.config, firstVmId: vmId * 1000, rounds };
    const scripts = ['a', 'b'].map((owner) => startScript('test/persistence/child/race-for-leases.ts', { ...argument, owner }));
    const ends = await Promise.all(scripts.map((script) => script.end()));
    expect(ends.map(({ err }) => err)).toEqual(['', '']);
    const won = ends.map(({ out }) => JSON.parse(out) as number[]);
    expect(won.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: rounds }, (_, i) => vmId * 1000 + i));
  }, 60_000);
});
