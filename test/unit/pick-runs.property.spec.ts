import fc from 'fast-check';
import {
  fullsAtOnce,
  pickRuns,
  type QueuedRun,
  type RunLimits,
  type RunningRun,
  type RunQueue,
  type Turn,
  type Wait,
} from '../../src/domain/run/pick-runs';
import { THOROUGH } from '../support/thorough';

const MINUTE = 60_000;
const START = Date.UTC(2026, 10, 29, 2);
const at = (minute: number): Date => new Date(START + minute * MINUTE);
const WAITS_FOR_NOTHING = { attempt: 0, notBefore: null, startUntil: null };
const NONE = { hosts: new Set<string>(), repositories: new Set<string>() };

type Bound = 'host' | 'repository' | 'zone' | 'whole' | 'here';
type Placed = Omit<RunningRun, 'here'> & { readonly here?: boolean };
const limitOf = (bound: Bound, limits: RunLimits): number =>
  ({ host: limits.perHost, repository: limits.perRepository, zone: limits.perZone, whole: limits.whole, here: limits.here })[
    bound
  ];
const BOUNDS: readonly Bound[] = ['host', 'repository', 'zone', 'whole', 'here'];
const isFull = ({ expects }: Placed): boolean => expects !== 'incremental';
/** Those that take places of what this run takes places of, counted anew each time; written apart from the rule. */
function sharing(bound: Bound, run: Placed, going: readonly Placed[]): Placed[] {
  if (bound === 'whole') return [...going];
  if (bound === 'here') return going.filter(({ here }) => here !== false);
  return run[bound] === null ? [] : going.filter((other) => other[bound] === run[bound]);
}
const fullLimit = (limit: number, limits: RunLimits): number => Math.max(1, Math.floor(limit * limits.fullShare));
/** Where a run would be one too many. */
const obstacles = (run: Placed, going: readonly Placed[], limits: RunLimits): string[] =>
  BOUNDS.flatMap((bound) => {
    const [limit, others] = [limitOf(bound, limits), sharing(bound, run, going)];
    if (bound in run && run[bound as 'host'] === null) return [];
    if (others.length >= limit) return [`${bound}-places`];
    return isFull(run) && others.filter(isFull).length >= fullLimit(limit, limits) ? [`${bound}-fulls`] : [];
  });

/** Places that an old run has, but for one that is farther away. */
const keptFor = (run: QueuedRun, queued: readonly QueuedRun[], waits: ReadonlyMap<string, Wait>, now: Date): string[] =>
  queued.flatMap((old) => {
    const [awaited = ''] = waits.get(old.id)?.code.split('-') ?? [];
    if (old.id === run.id || now.getTime() - old.queuedAt.getTime() <= 60 * MINUTE) return [];
    const nearer = BOUNDS.slice(0, BOUNDS.indexOf(awaited as Bound));
    return nearer.flatMap((bound) => (sharing(bound, run, [old]).length > 0 ? [`${bound}-kept`] : []));
  });

const place = {
  host: fc.constantFrom('h1', 'h1', 'h2', 'h3', null),
  repository: fc.constantFrom('nas1', 'nas1', 'nas2', null),
  zone: fc.constantFrom('z1', 'z2'),
  expects: fc.constantFrom('full' as const, 'incremental' as const, 'unknown' as const),
};
const anyLimit = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 1, arbitrary: fc.constant(Infinity) },
);
const anyLimits: fc.Arbitrary<RunLimits> = fc.record({
  ...{ perHost: anyLimit, perRepository: anyLimit, perZone: anyLimit, whole: anyLimit, here: anyLimit },
  fullShare: fc.constantFrom(0, 0.25, 0.5, 0.75, 1),
});
const anyAsker = fc.constantFrom('manual' as const, 'schedule' as const, 'service' as const);
const anyQueue: fc.Arbitrary<RunQueue> = fc.record({
  queued: fc
    .array(
      fc.record({
        ...{ ...place, vmId: fc.nat(30), askedBy: anyAsker, queuedAt: fc.nat(120).map(at) },
        attempt: fc.nat(1),
        notBefore: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(240).map(at) }),
        startUntil: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(240).map(at) }),
      }),
      { maxLength: 40 },
    )
    .map((runs) => runs.map((run, index) => ({ ...run, id: `r${index}` }))),
  running: fc
    .array(fc.record({ ...place, here: fc.boolean() }), { maxLength: 8 })
    .map((runs) => runs.map((run, index) => ({ ...run, vmId: index * 5 }))),
  busy: fc.array(fc.nat(30), { maxLength: 2 }).map((vms) => new Set(vms)),
  turns: fc.array(fc.record({ ...place, askedBy: anyAsker, at: fc.nat(120).map(at) }), { maxLength: 5 }),
  limits: anyLimits,
  maintenance: fc.constantFrom(NONE, NONE, { hosts: new Set(['h2']), repositories: new Set<string>() }),
  now: fc.constant(at(120)),
});

describe('pickRuns, over any queue', () => {
  it('exceeds no limit, leaves nothing idle that could begin, and says of each other run what is true', () => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(anyQueue, (queue) => {
        const { queued, running, busy, limits, maintenance, now } = queue;
        const { start, waits } = pickRuns(queue);
        const by = new Map(queued.map((run) => [run.id, run]));
        const going: Placed[] = [...running];
        for (const id of start) {
          const run = by.get(id) as QueuedRun;
          const faults = obstacles(run, going, limits);
          if (faults.length > 0) throw new Error(`${id} began and is one too many: ${faults.join()}`);
          if (busy.has(run.vmId) || going.some(({ vmId }) => vmId === run.vmId)) throw new Error(`${id} is the second of its VM`);
          if (run.notBefore !== null && run.notBefore > now) throw new Error(`${id} began too early`);
          if (run.startUntil !== null && run.startUntil <= now) throw new Error(`${id} began after its window had closed`);
          if (maintenance.hosts.has(run.host ?? '')) throw new Error(`${id} began in a maintenance`);
          going.push(run);
        }
        met.set('start', (met.get('start') ?? 0) + start.length);
        for (const run of queued) {
          if (start.includes(run.id)) continue;
          const wait = waits.get(run.id);
          if (wait === undefined) throw new Error(`${run.id} neither begins nor waits`);
          met.set(wait.code, (met.get(wait.code) ?? 0) + 1);
          const truths = [
            ...(run.notBefore !== null && run.notBefore > now ? ['not-before'] : []),
            ...(run.startUntil !== null && run.startUntil <= now ? ['window-closed'] : []),
            ...(maintenance.hosts.has(run.host ?? '') ? ['host-maintenance'] : []),
            ...(busy.has(run.vmId) || going.some(({ vmId }) => vmId === run.vmId) ? ['vm-busy'] : []),
            ...obstacles(run, going, limits),
            ...keptFor(run, queued, waits, now),
          ];
          if (!truths.includes(wait.code)) throw new Error(`${run.id} waits for ${wait.code}, and true is: ${truths.join()}`);
        }
        expect(start.length + waits.size).toBe(queued.length);
      }),
      { numRuns: 3000 * THOROUGH },
    );
    const codes = BOUNDS.flatMap((bound) => [`${bound}-places`, `${bound}-fulls`]);
    for (const what of ['start', 'not-before', 'window-closed', 'host-maintenance', 'vm-busy', ...codes])
      expect([what, (met.get(what) ?? 0) > 20]).toEqual([what, true]);
    // They take several old runs at once, and come some twenty times.
    for (const what of ['host-kept', 'repository-kept']) expect([what, (met.get(what) ?? 0) > 3]).toEqual([what, true]);
  });

  it('chooses the same in whatever order the runs are told', () => {
    fc.assert(
      fc.property(anyQueue, fc.infiniteStream(fc.nat()), (queue, keys) => {
        const shuffled = queue.queued.map((run) => ({ run, key: keys.next().value as number })).sort((a, b) => a.key - b.key);
        const again = { ...queue, queued: shuffled.map(({ run }) => run), running: [...queue.running].reverse(), turns: [...queue.turns].reverse() }; // prettier-ignore
        const [one, other] = [pickRuns(queue), pickRuns(again)];
        expect(other.start).toEqual(one.start);
        expect(new Map([...other.waits].sort())).toEqual(new Map([...one.waits].sort()));
      }),
      { numRuns: 500 * THOROUGH },
    );
  });
});

/** A run with the minutes that it takes, and the one in which it is written down. */
type Lasting = QueuedRun & { readonly minutes: number };

/** Minute by minute: who ends, who comes, who begins. Answers in which minute each run began. */
function simulate(runs: readonly Lasting[], limits: RunLimits, minutes = Infinity): Map<string, number> {
  const began = new Map<string, number>();
  const turns = new Map<string, Turn>();
  let going: (Lasting & { readonly until: number })[] = [];
  for (let minute = 0; began.size < runs.length && minute < minutes; minute += 1) {
    if (minute > 1_000_000) throw new Error(`${runs.length - began.size} runs never began`);
    going = going.filter(({ until }) => until > minute);
    const { start } = pickRuns({
      queued: runs.filter(({ id, queuedAt }) => !began.has(id) && queuedAt <= at(minute)),
      running: going.map((run) => ({ ...run, here: true })),
      ...{ turns: [...turns.values()], busy: new Set<number>() },
      ...{ limits, maintenance: NONE, now: at(minute) },
    });
    for (const id of start) {
      const run = runs.find((one) => one.id === id) as Lasting;
      began.set(id, minute);
      going.push({ ...run, until: minute + run.minutes });
      turns.set(JSON.stringify([run.host, run.askedBy, run.repository, run.zone, run.expects]), { ...run, at: at(minute) });
    }
  }
  return began;
}

const minuteOf = ({ queuedAt }: QueuedRun): number => (queuedAt.getTime() - START) / MINUTE;

describe('fullsAtOnce', () => {
  it('says how many fulls of one host begin where there is nothing else', () => {
    fc.assert(
      fc.property(anyLimits, (limits) => {
        const one = {
          host: 'h',
          repository: 'nas',
          zone: 'z',
          expects: 'full',
          askedBy: 'schedule',
          ...WAITS_FOR_NOTHING,
        } as const;
        const queued = Array.from({ length: 9 }, (_, vmId) => ({ ...one, id: `r${vmId}`, vmId, queuedAt: at(0) }));
        const none = { running: [], busy: new Set<number>(), turns: [], maintenance: NONE, now: at(1) };
        const { atOnce, of } = fullsAtOnce(limits);
        const { start, waits } = pickRuns({ ...none, queued, limits });
        expect(start.length).toBe(Math.min(9, atOnce));
        const [bound = ''] = [...waits.values()][0]?.code.split('-') ?? [];
        const whose = { host: 'the host', repository: 'the repository', zone: 'the zone', whole: 'all orchestrators', here: 'one orchestrator' }; // prettier-ignore
        if (start.length < 9) expect(of).toBe(whose[bound as Bound]);
      }),
      { numRuns: 300 * THOROUGH },
    );
  });
});

describe('pickRuns, in a storm', () => {
  it('lets every run begin before all that shares a place with it could have ended one after another', () => {
    let [runsSeen, waited] = [0, 0];
    const anyStorm = fc.array(
      fc.record({ ...place, askedBy: anyAsker, queuedAt: fc.nat(60).map(at), minutes: fc.oneof(fc.integer({ min: 1, max: 15 }), fc.constant(120)) }),
      { minLength: 1, maxLength: 60 },
    ); // prettier-ignore
    const limited = fc.integer({ min: 1, max: 4 });
    const stormLimits = fc.record({
      ...{ perHost: limited, perRepository: limited, perZone: limited, whole: limited, here: fc.constant(Infinity) },
      fullShare: fc.constantFrom(0.25, 0.5, 0.75, 1),
    });
    fc.assert(
      fc.property(anyStorm, stormLimits, (storm, limits) => {
        const runs: Lasting[] = storm.map((run, index) => ({ ...run, id: `r${index}`, vmId: index, ...WAITS_FOR_NOTHING }));
        const began = simulate(runs, limits);
        for (const run of runs) {
          const others = runs.filter(({ id }) => id !== run.id);
          const workOf = (some: readonly Placed[]): number => (some as Lasting[]).reduce((sum, { minutes }) => sum + minutes, 0);
          // As long as it waits, some place that it needs is taken in full: by all of its limit, or by all fulls of theirs.
          let bound = 0;
          for (const one of ['host', 'repository', 'zone', 'whole'] as const) {
            const rivals = sharing(one, run, others);
            bound += workOf(rivals) / limitOf(one, limits);
            if (isFull(run)) bound += workOf(rivals.filter(isFull)) / fullLimit(limitOf(one, limits), limits);
          }
          const wait = (began.get(run.id) ?? Infinity) - minuteOf(run);
          if (wait > bound) throw new Error(`${run.id} waited ${wait} minutes, and no more than ${bound} can be explained`);
          runsSeen += 1;
          waited += wait > 0 ? 1 : 0;
        }
      }),
      { numRuns: 150 * THOROUGH },
    );
    expect(waited).toBeGreaterThan(runsSeen / 3);
  });

  it('gives each host its turn: a host with a few runs does not wait for those with thousands', () => {
    fc.assert(
      fc.property(
        fc.record({
          ...{
            stormy: fc.integer({ min: 1, max: 6 }),
            whole: fc.integer({ min: 1, max: 4 }),
            minutes: fc.integer({ min: 1, max: 9 }),
          },
          guests: fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1, maxLength: 6 }),
        }),
        ({ stormy, whole, minutes, guests }) => {
          const one = {
            repository: 'nas',
            zone: 'z',
            expects: 'incremental',
            askedBy: 'schedule',
            ...WAITS_FOR_NOTHING,
          } as const;
          const storm = Array.from({ length: 40 * stormy }, (_, index) => ({ ...one, id: `s${index}`, vmId: index, host: `s${index % stormy}`, queuedAt: at(0), minutes })); // prettier-ignore
          const few = guests.map((minute, index) => ({ ...one, id: `g${index}`, vmId: 1000 + index, host: `g${index}`, queuedAt: at(minute), minutes })); // prettier-ignore
          const limits = { perHost: Infinity, perRepository: Infinity, perZone: Infinity, whole, here: Infinity, fullShare: 1 };
          const began = simulate([...storm, ...few], limits);
          // Every other line goes before it once at most, and a place becomes free in every so many minutes.
          const bound = Math.ceil((stormy + guests.length) / whole) * minutes;
          for (const run of few) {
            const wait = (began.get(run.id) ?? Infinity) - minuteOf(run);
            if (wait > bound) throw new Error(`${run.id} waited ${wait} minutes, and its turn was due after ${bound}`);
          }
        },
      ),
      { numRuns: 20 * THOROUGH },
    );
  });

  it('lets a run begin that needs a place here and one there, although others take each of them in turns without end', () => {
    const LONG = 160;
    let waited = 0;
    const any = fc.record({
      ...{ perHost: fc.integer({ min: 1, max: 2 }), perRepository: fc.integer({ min: 1, max: 2 }) },
      ...{ here: fc.integer({ min: 2, max: 9 }), fullShare: fc.constantFrom(0.5, 1) },
      /** Other hosts that write to its repository, and other repositories that its host writes to. */
      ...{ hosts: fc.integer({ min: 1, max: 3 }), repositories: fc.integer({ min: 1, max: 2 }) },
      ...{ minutes: fc.integer({ min: 2, max: 5 }), expects: place.expects, others: place.expects, askedBy: anyAsker },
    });
    fc.assert(
      fc.property(any, ({ perHost, perRepository, here, fullShare, hosts, repositories, minutes, ...kind }) => {
        // Those beside it begin in its host whenever a place is free, those before it in its repository.
        const backlog = (name: string, host: string, repository: string, shift: number): Lasting[] =>
          Array.from({ length: Math.floor((LONG * 2) / minutes) }, (_, index) => ({
            ...{ id: `${name}-${index}`, vmId: index * 10 + shift, host, repository, zone: 'z', ...WAITS_FOR_NOTHING, minutes },
            ...{ expects: kind.others, askedBy: kind.askedBy, queuedAt: at(Math.floor((index * minutes) / 2) + (shift % 2)) },
          }));
        const beside = Array.from({ length: repositories }, (_, index) => backlog(`q${index}`, 'h', `q${index}`, index));
        const before = Array.from({ length: hosts }, (_, index) => backlog(`g${index}`, `g${index}`, 'nas', 3 + index));
        const x = {
          ...{ id: 'x', vmId: -1, host: 'h', repository: 'nas', zone: 'z', ...WAITS_FOR_NOTHING, minutes },
          ...{ expects: kind.expects, askedBy: 'schedule' as const, queuedAt: at(7) },
        };
        const limits = { perHost, perRepository, perZone: Infinity, whole: Infinity, here, fullShare };
        const began = simulate([...beside.flat(), ...before.flat(), x], limits, LONG).get('x') ?? Infinity;
        // An hour of patience, each line that is older once, and as long for each of the places.
        const bound = 7 + 60 + (hosts + repositories + 4) * minutes;
        if (began > bound) throw new Error(`it began in minute ${began}, and ${bound} can be explained`);
        waited += began > 7 + 60 ? 1 : 0;
      }),
      { numRuns: 25 * THOROUGH },
    );
    expect(waited).toBeGreaterThan(0);
  });

  it('lets what comes by itself begin although somebody asks by hand without end', () => {
    const one = { host: 'h', repository: 'nas', zone: 'z', expects: 'incremental', ...WAITS_FOR_NOTHING, minutes: 2 } as const;
    const asked = Array.from({ length: 120 }, (_, minute) => ({ ...one, id: `m${minute}`, vmId: minute, askedBy: 'manual' as const, queuedAt: at(minute) })); // prettier-ignore
    const scheduled = { ...one, id: 'scheduled', vmId: 999, askedBy: 'schedule' as const, queuedAt: at(3) };
    const limits = { perHost: 1, perRepository: 9, perZone: 9, whole: 9, here: 9, fullShare: 1 };
    const began = simulate([...asked, scheduled], limits);
    // Fifteen minutes of patience, and whatever goes on then.
    expect(began.get('scheduled')).toBeLessThanOrEqual(3 + 15 + 2);
    expect(began.get('scheduled')).toBeGreaterThan(3 + 10);
  });
});
