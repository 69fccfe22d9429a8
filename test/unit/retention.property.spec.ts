import fc from 'fast-check';
import { ASSURANCES } from '../../src/domain/chain/assurance';
import type { BookedBackup, FilesState } from '../../src/domain/chain/booked-backup';
import { toDetails } from '../../src/domain/chain/chain-keys';
import type { DeletionStep } from '../../src/domain/chain/plan-deletion';
import { planRetention, type RetentionPlan } from '../../src/domain/retention/plan-retention';
import { type DatedPoint, type RetentionPolicy, selectKept } from '../../src/domain/retention/select-kept';
import { THOROUGH } from '../support/thorough';
import { full, keys, parent } from './chain/situation';

const HOUR = 3600;
const NOW = Date.UTC(2026, 10, 29, 12) / 1000;
const NOTHING: RetentionPolicy = { keepLast: 0, keepHourly: 0, keepDaily: 0, keepWeekly: 0, keepMonthly: 0, keepYearly: 0 };

const few = fc.oneof(fc.constant(0), fc.nat(3));
const anyPolicy: fc.Arbitrary<RetentionPolicy> = fc.record({
  ...{ keepLast: few, keepHourly: few, keepDaily: few, keepWeekly: few, keepMonthly: few, keepYearly: few },
});
/** Null: it cannot be restored. */
const anyWorth = fc.constantFrom(null, ...ASSURANCES);
const levelOf = (assurance: DatedPoint['assurance']): number => (assurance === null ? -1 : ASSURANCES.indexOf(assurance));
/** From the worst on. */
const LEVELS = [-1, ...ASSURANCES.keys()];
/** Some in one hour, some years apart. */
const anyAge = fc.oneof(fc.nat(48), fc.nat(24 * 60), fc.nat(24 * 365 * 3)).map((hours) => hours * HOUR);
const anyPoints: fc.Arbitrary<DatedPoint[]> = fc
  .array(fc.record({ age: anyAge, minutes: fc.nat(59), assurance: anyWorth }), { maxLength: 25 })
  .map((all) =>
    all.map(({ age, minutes, assurance }, index) => ({
      uuid: `p${index}`,
      date: NOW - age - minutes * 60 - index / 100,
      assurance,
    })),
  );

/** The Monday of its week, found by walking back day by day. */
function mondayOf(date: Date): string {
  const day = new Date(date);
  while (day.getUTCDay() !== 1) day.setUTCDate(day.getUTCDate() - 1);
  return day.toISOString().slice(0, 10);
}

/** What each rule groups by, in UTC, from the text of the date. */
const GROUPS: readonly (readonly [keyof RetentionPolicy, (date: Date, point: DatedPoint) => string])[] = [
  ['keepLast', (_, { uuid }) => uuid],
  ['keepHourly', (date) => date.toISOString().slice(0, 13)],
  ['keepDaily', (date) => date.toISOString().slice(0, 10)],
  ['keepWeekly', mondayOf],
  ['keepMonthly', (date) => date.toISOString().slice(0, 7)],
  ['keepYearly', (date) => date.toISOString().slice(0, 4)],
];

/** Written apart from the rule: whole groups are struck out, then the newest groups are taken. */
function oracle(points: readonly DatedPoint[], policy: RetentionPolicy): Set<string> {
  const kept = new Set<string>();
  for (const [key, groupOf] of GROUPS) {
    const groups = new Map<string, DatedPoint[]>();
    for (const point of points) {
      const name = groupOf(new Date(point.date * 1000), point);
      groups.set(name, [...(groups.get(name) ?? []), point]);
    }
    [...groups.values()]
      .filter((group) => !group.some(({ uuid }) => kept.has(uuid)))
      .map((group) => group.reduce((newest, one) => (one.date > newest.date ? one : newest)))
      .sort((a, b) => b.date - a.date)
      .slice(0, policy[key])
      .forEach(({ uuid }) => kept.add(uuid));
  }
  return kept;
}

describe('selectKept, over any points and policies', () => {
  it('keeps what an oracle keeps that was written apart from it, when all are worth the same', () => {
    let kept = 0;
    fc.assert(
      fc.property(anyPoints, anyPolicy, (points, policy) => {
        const alike = points.map((point) => ({ ...point, assurance: 'accounted' as const }));
        if (Object.values(policy).every((count) => count === 0)) return;
        const chosen = selectKept(alike, policy, 'UTC');
        kept += chosen.size;
        expect([...chosen.keys()].sort()).toEqual([...oracle(alike, policy)].sort());
      }),
      { numRuns: 2000 * THOROUGH },
    );
    // Something was kept: 5,200 as a rule, 65 more or less.
    expect(kept).toBeGreaterThan(4000);
  });

  it('lets no worse point take the place of a better one', () => {
    fc.assert(
      fc.property(anyPoints, anyPolicy, (points, policy) => {
        if (Object.values(policy).every((count) => count === 0)) return;
        const chosen = selectKept(points, policy, 'UTC');
        for (const level of LEVELS) {
          const worth = points.filter(({ assurance }) => levelOf(assurance) >= level);
          const missing = [...oracle(worth, policy)].filter((uuid) => !chosen.has(uuid));
          if (missing.length > 0) throw new Error(`${missing.join()} of ${ASSURANCES[level] ?? 'no use'} and better went`);
        }
      }),
      { numRuns: 1000 * THOROUGH },
    );
  });

  it('keeps all where nobody said what to keep', () => {
    const points: DatedPoint[] = [{ uuid: 'a', date: 1, assurance: 'broken' }];
    expect([...selectKept(points, NOTHING, 'UTC')]).toEqual([['a', 'all']]);
    expect([...selectKept(points, { ...NOTHING, keepLast: 1 }, 'UTC')]).toEqual([['a', 'last']]);
  });
});

/** One link as it really is: what it stands on is the link before. */
interface Link {
  readonly age: number;
  readonly assurance: (typeof ASSURANCES)[number];
  readonly files: FilesState;
  readonly scheduleId: number | null;
  readonly manual: boolean;
}
const anyFiles: fc.Arbitrary<FilesState> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('present' as const, 'unknown' as const) },
  { weight: 1, arbitrary: fc.constantFrom('damaged' as const, 'missing' as const) },
);
const anyLinks: fc.Arbitrary<Link[]> = fc.array(
  fc.record({
    age: anyAge,
    assurance: fc.constantFrom(...ASSURANCES),
    files: anyFiles,
    scheduleId: fc.constantFrom(null, 1, 1, 2),
    manual: fc.boolean(),
  }),
  { minLength: 1, maxLength: 6 },
);

/** A link in its chain; the dates of all differ. */
type Real = Link & { readonly uuid: string; readonly chain: number; readonly position: number; readonly date: number };

const realChains = (chains: readonly (readonly Link[])[]): Real[] =>
  chains.flatMap((links, chain) => {
    // Within one, each is younger than what it stands on.
    const ages = links.map(({ age }) => age).sort((a, b) => b - a);
    return links.map((link, position) => ({
      ...link,
      manual: link.scheduleId === null && link.manual,
      ...{ uuid: `${chain}-${position}`, chain, position, date: NOW - (ages[position] ?? 0) - 900 + chain * 10 + position },
    }));
  });

const booked = ({ uuid, chain, position, date, assurance, files }: Real): BookedBackup => {
  const details = toDetails(
    keys({
      ...{ chainId: `chain-${chain}`, bitmapName: `backup-${chain}00${position}`, position },
      ...{ parentBackupId: position === 0 ? null : `${chain}-${position - 1}`, type: position === 0 ? 'full' : 'incremental' },
    }),
  );
  const own = { uuid, assurance, files, details, size: 1, date };
  return position === 0 ? full(own) : parent(own);
};

/** The NAS and the books, as steps change them; written apart from the planner: it knows who really stands on whom. */
class World {
  readonly onNas: Set<string>;
  readonly rows: Map<string, BookedBackup>;

  constructor(private readonly real: readonly Real[]) {
    this.onNas = new Set(real.map(({ uuid }) => uuid));
    this.rows = new Map(real.map((one) => [one.uuid, booked(one)]));
  }

  take({ kind, backup }: DeletionStep): void {
    const row = this.rows.get(backup);
    if (kind === 'hide' && row) this.rows.set(backup, { ...row, status: 'Hidden' });
    if (kind !== 'remove') return;
    if (row?.status === 'BackedUp') throw new Error(`${backup} was removed while it was offered`);
    this.onNas.delete(backup);
    this.rows.delete(backup);
  }

  stack = (of: Real): Real[] => this.real.filter(({ chain, position }) => chain === of.chain && position <= of.position);
  /** -1: nobody can restore it. */
  worth = (of: Real): number =>
    Math.min(
      ...this.stack(of).map(({ assurance, files }) =>
        files === 'damaged' || files === 'missing' ? -1 : ASSURANCES.indexOf(assurance),
      ),
    );
  offered = (): Real[] => this.real.filter(({ uuid }) => this.rows.get(uuid)?.status === 'BackedUp');
  best = (): number => Math.max(-1, ...this.offered().map(this.worth));

  /** What is hidden and nothing that is offered stands on. */
  idle(): string[] {
    const carried = new Set(this.offered().flatMap((one) => this.stack(one).map(({ uuid }) => uuid)));
    return [...this.rows.keys()].filter((uuid) => !carried.has(uuid));
  }
}

/** All that a plan goes by, except for the chains. */
interface Rules {
  readonly policy: RetentionPolicy;
  readonly minAgeHours: number;
  readonly manual: boolean;
  readonly schedules: readonly { readonly id: number; readonly name: string; readonly maxBackups: number }[];
  readonly held: readonly number[];
}
const anyRules: fc.Arbitrary<Rules> = fc.record({
  policy: fc.oneof({ weight: 3, arbitrary: anyPolicy }, { weight: 1, arbitrary: fc.constant(NOTHING) }),
  minAgeHours: fc.oneof(fc.constant(0), fc.nat(48)),
  manual: fc.boolean(),
  schedules: fc.tuple(fc.nat(3), fc.nat(3)).map(([first, second]) => [
    { id: 1, name: 'daily', maxBackups: first },
    { id: 2, name: 'weekly', maxBackups: second },
  ]),
  held: fc.array(fc.nat(23), { maxLength: 2 }),
});

/** Who must stay, written apart from the rule: level by level of worth, and each voice by itself. */
function mustStay(world: World, real: readonly Real[], rules: Rules, held: readonly string[]): Set<string> {
  const speaks = Object.values(rules.policy).some((count) => count > 0);
  const counts = (one: Real): boolean => rules.manual || !one.manual;
  const limit = (one: Real): number => rules.schedules.find(({ id }) => id === one.scheduleId)?.maxBackups ?? 0;
  const stays = new Set(held);
  if (world.best() === -1) real.forEach(({ uuid }) => stays.add(uuid));
  for (const one of real) {
    if (!(speaks && counts(one)) && limit(one) === 0) stays.add(one.uuid);
    if (one.date > NOW - rules.minAgeHours * HOUR) stays.add(one.uuid);
    // Newer ones of its schedule that are worth no less.
    const newer = real.filter(
      (other) => other.scheduleId === one.scheduleId && other.date > one.date && world.worth(other) >= world.worth(one),
    );
    if (limit(one) > newer.length) stays.add(one.uuid);
  }
  for (const level of speaks ? LEVELS : []) {
    const worthy = real.filter((one) => counts(one) && world.worth(one) >= level);
    const points = worthy.map((one) => ({ uuid: one.uuid, date: one.date, assurance: ASSURANCES[world.worth(one)] ?? null }));
    oracle(points, rules.policy).forEach((uuid) => stays.add(uuid));
  }
  return stays;
}

describe('planRetention, over any chains, policies and schedules, cut short after any step', () => {
  it('keeps invariant 6 and whoever must stay, lets all others go, and has nothing left to do once it was done', () => {
    const met = {
      hidden: 0,
      removed: 0,
      stays: 0,
      cut: 0,
      scheduled: 0,
      manual: 0,
      protected: 0,
      young: 0,
      dead: 0,
      deadGone: 0,
    };
    fc.assert(
      fc.property(
        fc.array(anyLinks, { minLength: 1, maxLength: 4 }).map(realChains),
        anyRules,
        fc.array(fc.nat(10), { maxLength: 2 }),
        fc.boolean(),
        (real, rules, cuts, hidesFirst) => {
          const world = new World(real);
          const held = rules.held.flatMap((pick) => real[pick % real.length]?.uuid ?? []);
          const protections = held.map((backup) => ({ backup, until: null, by: 'ops', why: 'kept' }));
          const origins = new Map(real.map(({ uuid, scheduleId, manual }) => [uuid, { scheduleId, manual }]));
          const stays = mustStay(world, real, rules, held);
          const best = world.best();
          const plan = (): RetentionPlan =>
            planRetention({
              ...{ ...rules, zone: 'UTC', now: NOW, origins, protections },
              ...{ backups: [...world.rows.values()], activeCheckpointId: null, notComparedSince: null },
            });
          // Each is cut short but for the last.
          for (const cut of [...cuts, Infinity]) {
            const { steps, lines } = plan();
            for (const { fate, restorable } of lines) {
              met[fate] += 1;
              met.deadGone += !restorable && fate === 'removed' ? 1 : 0;
            }
            const told = lines.map(({ backup }) => backup).sort();
            const offered = world
              .offered()
              .map(({ uuid }) => uuid)
              .sort();
            if (told.join() !== offered.join()) throw new Error(`told of ${told.join()}, offered are ${offered.join()}`);
            met.cut += steps.length > cut ? 1 : 0;
            const isHide = ({ kind }: DeletionStep): boolean => kind === 'hide';
            const dates = steps.filter(isHide).map(({ backup }) => real.find(({ uuid }) => uuid === backup)?.date ?? 0);
            if (dates.some((date, index) => date < (dates[index - 1] ?? 0))) throw new Error('not the oldest first');
            const inOrder = hidesFirst ? [...steps.filter(isHide), ...steps.filter((step) => !isHide(step))] : steps;
            for (const step of inOrder.slice(0, cut)) {
              world.take(step);
              // Plain throws: a matcher for each of a million looks takes minutes.
              for (const one of world.offered())
                for (const { uuid } of world.stack(one))
                  if (!world.onNas.has(uuid)) throw new Error(`${one.uuid} has lost ${uuid}`);
              if (world.best() !== best) throw new Error(`the best point went: ${best}, ${world.best()}`);
              const gone = [...stays].filter((uuid) => world.rows.get(uuid)?.status !== 'BackedUp');
              if (gone.length > 0) throw new Error(`${gone.join()} went and must stay`);
            }
          }
          const spared = world.offered().filter(({ uuid }) => !stays.has(uuid));
          if (spared.length > 0) throw new Error(`${spared.map(({ uuid }) => uuid).join()} stayed and nobody keeps it`);
          if (world.idle().length > 0) throw new Error(`${world.idle().join()} lies there and carries nobody`);
          const again = plan().steps;
          if (again.length > 0) throw new Error(`a second time: ${JSON.stringify(again)}`);
          for (const { why } of plan().lines) {
            met.scheduled += /schedule keeps/.test(why) ? 1 : 0;
            met.manual += /somebody asked/.test(why) ? 1 : 0;
            met.protected += /is protected/.test(why) ? 1 : 0;
            met.young += /younger/.test(why) ? 1 : 0;
            met.dead += /cannot be restored/.test(why) ? 1 : 0;
          }
        },
      ),
      { numRuns: 3000 * THOROUGH },
    );
    for (const [what, times] of Object.entries(met)) expect([what, times > 100, times]).toEqual([what, true, times]);
  });
});
