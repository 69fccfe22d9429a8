import fc from 'fast-check';
import { Claims } from '../../src/database/repositories/claims';
import { type Lease, Leases } from '../../src/database/repositories/leases';
import { RunPlaces } from '../../src/database/repositories/run-places';
import { type ClaimedRun, Runs } from '../../src/database/repositories/runs';
import type { RunRow } from '../../src/database/entities/run-row';
import { Queue } from '../../src/engine/queue';
import { loadConfig } from '../../src/platform/config/load-config';
import { hasEnded, type RunActor, RUN_MOVES, type RunState } from '../../src/domain/run/run-state';
import { aRun } from '../support/books';
import { type Books, describeDatabases } from '../support/databases';
import { THOROUGH } from '../support/thorough';

/** What a run is by the model: kept by hand, with none of the code that is tried. */
interface ModelRun {
  readonly id: string;
  readonly vm: number;
  state: RunState;
  epoch: number;
  attempts: number;
  waits: boolean;
  abort: boolean;
  /** Attempts that were begun, each by its number. */
  readonly begun: number[];
  ended: number;
}
interface ModelLease {
  runId: string | null;
  epoch: number;
  held: boolean;
}
/** Whoever was given a run, whether it still is theirs or not: late writers are those of them that do not know. */
interface Holder {
  readonly run: ModelRun;
  readonly claim: ClaimedRun;
  readonly lease: Lease;
}
interface Model {
  readonly runs: ModelRun[];
  readonly leases: Map<number, ModelLease>;
  readonly holders: Holder[];
}
/** The books, and who tries what on them. */
interface Real {
  readonly books: Books;
  readonly runs: Runs;
  readonly leases: Leases;
  readonly claims: Claims;
  readonly queue: Queue;
  readonly firstVm: number;
  /** Counts the moves that were made, by their names in the table. */
  readonly met: Map<string, number>;
}

const VMS = 2;
const LONG_MS = 3_600_000;
const PAST = '2001-01-01 00:00:00.000';
type Command = fc.AsyncCommand<Model, Real>;
/** Mostly one on which something comes of it, counted from the newest, and now and then any. */
function pick<T>(all: readonly T[], at: number, good: (one: T) => boolean): T | undefined {
  const some = at % 4 === 0 ? all : all.filter(good);
  return some[some.length - 1 - (at % Math.max(1, some.length))];
}
const goesOn = ({ state }: ModelRun): boolean => state === 'running' || state === 'unknown';
const leaseOf = (model: Model, vm: number): ModelLease => {
  const lease = model.leases.get(vm) ?? { runId: null, epoch: 0, held: false };
  model.leases.set(vm, lease);
  return lease;
};
/** It was given this run last, and the run has not moved on since. */
const isTheirs = ({ run, claim }: Holder): boolean => run.epoch === claim.epoch && goesOn(run);

/** It goes on, and somebody else has it. */
const isLate = ({ run, claim }: Holder): boolean => run.epoch > claim.epoch && goesOn(run);

/** Moves a run in the model; what the table does not know is an error. */
function move(real: Real, run: ModelRun, to: RunState, by: RunActor): void {
  if (!RUN_MOVES.some((one) => one.from === run.state && one.to === to && one.by === by))
    throw new Error(`${by}: ${run.state} -> ${to} is not in the table`);
  const name = `${by}: ${run.state} -> ${to}`;
  real.met.set(name, (real.met.get(name) ?? 0) + 1);
  run.state = to;
  if (hasEnded(to)) run.ended += 1;
}

/** After every command: the books say what the model says, and what must always hold does. */
async function compare(model: Model, real: Real): Promise<void> {
  for (const run of model.runs) {
    const row = (await real.runs.find(run.id)) as RunRow;
    const [said, is] = [
      [row.state, row.epoch, row.attempt, row.ended !== null],
      [run.state, run.epoch, run.attempts, hasEnded(run.state)],
    ];
    if (String(said) !== String(is)) throw new Error(`${run.id}: the books say ${said.join()}, and it is ${is.join()}`);
    if (run.ended > 1) throw new Error(`${run.id} ended twice`);
    if (new Set(run.begun).size !== run.begun.length) throw new Error(`an attempt of ${run.id} began twice`);
    if (run.begun.length > run.attempts + 1) throw new Error(`${run.id} began more often than it was tried`);
  }
  for (let vm = 0; vm < VMS; vm += 1)
    if (model.runs.filter((run) => run.vm === vm && goesOn(run)).length > 1) throw new Error(`two runs of VM ${vm} go on`);
  const count = await real.books.dataSource.query<{ count: number | string }[]>(
    `SELECT COUNT(*) AS count FROM ck_runs WHERE vm_id BETWEEN ${real.firstVm} AND ${real.firstVm + VMS - 1}`,
  );
  if (Number(count[0]?.count) !== model.runs.length) throw new Error('a run was lost');
}

/** One command: whether it can be, and what it does to both. */
function command(name: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return {
    check: () => true,
    run: async (model, real) => {
      await run(model, real);
      await compare(model, real);
    },
    toString: () => name,
  };
}
const same = (what: string, said: boolean, is: boolean): void => {
  if (said !== is) throw new Error(`${what}: the books say ${said}, and it is ${is}`);
};

/** Somebody writes a run down, whatever goes on: a due schedule does not ask. */
const create = (vm: number): Command =>
  command(`create(${vm})`, async (model, real) => {
    const { run } = await real.runs.create(aRun(real.firstVm + vm));
    model.runs.push({ id: run.id, vm, state: 'queued', epoch: 0, attempts: 0, waits: false, abort: false, begun: [], ended: 0 });
  });

/** Somebody asks for one, unless one goes on or waits. */
const request = (vm: number): Command =>
  command(`request(${vm})`, async (model, real) => {
    const run = await real.runs.requestUnlessActive(aRun(real.firstVm + vm));
    same(
      'refused',
      run === null,
      model.runs.some((other) => other.vm === vm && !hasEnded(other.state)),
    );
    if (run !== null)
      model.runs.push({
        id: run.id,
        vm,
        state: 'queued',
        epoch: 0,
        attempts: 0,
        waits: false,
        abort: false,
        begun: [],
        ended: 0,
      });
  });

/** A worker takes the run that it saw in a list a while ago: it may be anything by now. */
const take = (at: number, seen: 'queued' | 'running'): Command =>
  command(`take(${at}, ${seen})`, async (model, real) => {
    const run = pick(model.runs, at, ({ state }) => (state === 'queued') === (seen === 'queued') && !hasEnded(state));
    if (run === undefined) return;
    const lease = leaseOf(model, run.vm);
    const taken = await real.claims.take({ id: run.id, vmId: real.firstVm + run.vm, state: seen }, 'w', LONG_MS);
    const others = model.runs.some((other) => other !== run && other.vm === run.vm && goesOn(other));
    const fits = seen === 'queued' ? run.state === 'queued' && !run.waits && !others : goesOn(run);
    same(`taken as ${seen}`, taken !== null, !lease.held && fits);
    // Epochs go up and never come twice, whoever has them.
    if (!lease.held) Object.assign(lease, { runId: null, epoch: (await real.leases.find(real.firstVm + run.vm))?.epoch });
    if (taken === null) return;
    if (model.holders.some((other) => other.run.vm === run.vm && other.claim.epoch >= taken.lease.epoch))
      throw new Error('an old epoch');
    Object.assign(lease, { runId: run.id, held: true });
    if (seen === 'queued') run.begun.push(run.attempts);
    move(real, run, 'running', seen === 'queued' ? 'runner' : 'reaper');
    run.epoch = taken.lease.epoch;
    model.holders.push({ run, claim: { id: run.id, epoch: taken.lease.epoch }, lease: taken.lease });
  });

/** What a look for work would offer is what can be taken. */
const look = (): Command =>
  command('look', async (model, real) => {
    real.queue.heardOf('news');
    const offered = [...(await real.queue.pick()), ...(await real.runs.abandoned(1000))].map(({ id }) => id);
    const free = model.runs.filter((run) => {
      const lease = leaseOf(model, run.vm);
      if (goesOn(run)) return !(lease.held && lease.runId === run.id && lease.epoch === run.epoch);
      const others = model.runs.some((other) => other.vm === run.vm && goesOn(other));
      return run.state === 'queued' && !run.waits && !lease.held && !others;
    });
    // Of one VM only one at a time is offered: the oldest, and of two of one millisecond either.
    const namesOf = (runs: readonly ModelRun[]): string[] => runs.map((run) => (goesOn(run) ? run.id : `one of VM ${run.vm}`));
    const said = namesOf(free.filter(({ id }) => offered.includes(id))).sort();
    const expected = [...new Set(namesOf(free))].sort();
    if (String(said) !== String(expected) || said.length !== offered.length)
      throw new Error(`offered ${offered.join()}, free ${expected.join()}`);
  });

/** Whoever was ever given a run writes something about it. */
const write = (name: string, at: number, how: (holder: Holder, model: Model, real: Real) => Promise<void>): Command =>
  command(`${name}(${at})`, async (model, real) => {
    // Those who do not know that it was taken over are who this is about.
    const late = at % 2 === 1 ? pick(model.holders, at, isLate) : undefined;
    const holder = late ?? pick(model.holders, at, isTheirs);
    if (holder !== undefined) await how(holder, model, real);
  });
const note = (at: number): Command =>
  write('note', at, async (holder, _, { runs }) => {
    same('noted', await runs.note(holder.claim, { reason: `by ${holder.claim.epoch}` }), isTheirs(holder));
  });
const silence = (at: number): Command =>
  write('silence', at, async (holder, _, real) => {
    const theirs = isTheirs(holder);
    same('unknown', await real.runs.markUnknown(holder.claim, 'c', 'm'), theirs);
    if (theirs) move(real, holder.run, 'unknown', 'runner');
  });
const hear = (at: number): Command =>
  write('hear', at, async (holder, _, real) => {
    const may = isTheirs(holder) && holder.run.state === 'unknown';
    same('heard of again', await real.runs.hearAgain(holder.claim), may);
    if (may) move(real, holder.run, 'running', 'runner');
  });
const end = (at: number, state: 'succeeded' | 'failed' | 'cancelled' | 'skipped'): Command =>
  write(`end as ${state}`, at, async (holder, _, real) => {
    // What has begun and of which nobody has heard is not skipped.
    const may = isTheirs(holder) && !(state === 'skipped' && holder.run.state === 'unknown');
    same(`ended as ${state}`, (await real.runs.end(holder.claim, { state })) !== null, may);
    if (may) move(real, holder.run, state, 'runner');
  });
const retry = (at: number): Command =>
  write('retry', at, async (holder, _, real) => {
    const may = isTheirs(holder) && !holder.run.abort;
    const failed = { errorCode: 'c', errorMessage: 'm', warnings: ['w'], afterMs: LONG_MS };
    same('queued again', await real.runs.retryLater(holder.claim, failed), may);
    if (!may) return;
    move(real, holder.run, 'queued', 'runner');
    Object.assign(holder.run, { attempts: holder.run.attempts + 1, waits: true });
  });
const holds = (model: Model, { run, claim }: Holder): boolean => {
  const lease = leaseOf(model, run.vm);
  return lease.runId === run.id && lease.epoch === claim.epoch;
};
const renew = (at: number): Command =>
  write('renew', at, async (holder, model, { leases }) => {
    same('renewed', await leases.renew(holder.lease, LONG_MS), holds(model, holder) && leaseOf(model, holder.run.vm).held);
  });
const giveBack = (at: number): Command =>
  write('give back', at, async (holder, model, { leases }) => {
    const may = holds(model, holder);
    same('given back', await leases.release(holder.lease), may);
    if (may) Object.assign(leaseOf(model, holder.run.vm), { runId: null, held: false });
  });

/** Somebody slept through the lease. */
const expire = (at: number): Command =>
  command(`expire(${at})`, async (model, { books, firstVm }) => {
    const vm = pick(model.holders, at, isTheirs)?.run.vm;
    if (vm === undefined) return;
    await books.dataSource.query(`UPDATE ck_vm_leases SET lease_until = '${PAST}' WHERE vm_id = ${firstVm + vm} AND lease_until IS NOT NULL`); // prettier-ignore
    leaseOf(model, vm).held = false;
  });
/** The time that a run was told to wait for has come. */
const due = (at: number): Command =>
  command(`due(${at})`, async (model, { books }) => {
    const run = pick(model.runs, at, ({ waits }) => waits);
    if (run === undefined) return;
    await books.dataSource.query(`UPDATE ck_runs SET not_before = '${PAST}' WHERE id = '${run.id}' AND not_before IS NOT NULL`);
    run.waits = false;
  });
const cancel = (at: number, state: 'cancelled' | 'skipped'): Command =>
  command(`${state}(${at})`, async (model, real) => {
    const run = pick(model.runs, at, (one) => !hasEnded(one.state));
    if (run === undefined) return;
    const may = run.state === 'queued';
    same(state, await real.runs.endQueued(run.id, { state }), may);
    if (may) return move(real, run, state, state === 'skipped' ? 'planner' : 'operator');
    if (state === 'skipped') return;
    same('asked to stop', await real.runs.askToAbort(run.id), goesOn(run));
    if (goesOn(run)) run.abort = true;
  });

const at = fc.nat(50);
const vms = fc.nat(VMS - 1);
const often = (...commands: fc.Arbitrary<Command>[]): fc.Arbitrary<Command>[] => [...commands, ...commands, ...commands];
const takes = at.map((n) => take(n, 'queued'));
const COMMANDS = [
  ...often(vms.map(create), takes, takes, at.map(expire), at.map(giveBack), at.map(silence), at.map(hear), at.map(retry)),
  ...often(
    at.map(due),
    at.map((n) => take(n, 'running')),
  ),
  ...[vms.map(request), fc.constant(look()), fc.constant(look()), at.map(note), at.map(renew)],
  ...(['succeeded', 'failed', 'cancelled', 'skipped'] as const).map((state) => at.map((n) => end(n, state))),
  ...[at.map((n) => cancel(n, 'cancelled')), at.map((n) => cancel(n, 'skipped'))],
];

/*
 * Any sequence of what orchestrators, those that slept too long among them, and operators do to the runs of three VMs. The model knows what
 * must come of it: each attempt begins once, no run is lost or ends twice, one of a VM goes on at a time, and whoever comes late changes
 * nothing.
 */
describeDatabases('runs, whoever does what to them and in whatever order,', (databases) => {
  it('are what the model says, and move as the table has it', async () => {
    // Thousands of commits: in memory they wait for no disk.
    const inMemory = databases.kind === 'sqlite';
    const books = await (inMemory ? databases.reopen({ kind: 'sqlite', path: ':memory:' }) : databases.open());
    const met = new Map<string, number>();
    let firstVm = 1;
    const config = loadConfig({ CHAINKEEPER_RUNS_AT_ONCE: '1000', CHAINKEEPER_FULLS_PERCENT: '100' });
    const setup = async (): Promise<{ model: Model; real: Real }> => {
      await books.dataSource.query('DELETE FROM ck_runs');
      const [runs, leases] = [new Runs(books.work), new Leases(books.work)];
      firstVm += VMS;
      return {
        model: { runs: [], leases: new Map(), holders: [] },
        real: {
          ...{ books, runs, leases, firstVm, met },
          claims: new Claims(books.work, leases, runs),
          queue: new Queue(new RunPlaces(books.work), new Leases(books.work), config),
        },
      };
    };
    await fc.assert(
      fc.asyncProperty(fc.commands(COMMANDS, { maxCommands: 200, size: 'max' }), (commands) => fc.asyncModelRun(setup, commands)),
      { numRuns: (inMemory ? 60 : 8) * THOROUGH },
    );
    // The table has no move that nobody makes. A server is slower, and told less.
    if (!inMemory) return;
    expect([...met.keys()].sort()).toEqual(RUN_MOVES.map(({ from, to, by }) => `${by}: ${from} -> ${to}`).sort());
  });
});
