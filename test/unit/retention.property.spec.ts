import fc from 'fast-check';
import { ASSURANCES } from '../../src/domain/chain/assurance';
import type { BookedBackup } from '../../src/domain/chain/booked-backup';
import { toDetails } from '../../src/domain/chain/chain-keys';
import { restorePoints } from '../../src/domain/chain/restore-points';
import { planRetention } from '../../src/domain/retention/plan-retention';
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
/** Some in one hour, some years apart. */
const anyAge = fc.oneof(fc.nat(48), fc.nat(24 * 60), fc.nat(24 * 365 * 3)).map((hours) => hours * HOUR);
const anyPoints: fc.Arbitrary<DatedPoint[]> = fc
  .array(fc.record({ age: anyAge, minutes: fc.nat(59), assurance: fc.constantFrom(...ASSURANCES) }), { maxLength: 25 })
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
    expect(kept).toBeGreaterThan(5000);
  });

  it('lets no worse point take the place of a better one', () => {
    fc.assert(
      fc.property(anyPoints, anyPolicy, (points, policy) => {
        if (Object.values(policy).every((count) => count === 0)) return;
        const chosen = selectKept(points, policy, 'UTC');
        for (const level of ASSURANCES.keys()) {
          const worth = points.filter(({ assurance }) => ASSURANCES.indexOf(assurance) >= level);
          const missing = [...oracle(worth, policy)].filter((uuid) => !chosen.has(uuid));
          if (missing.length > 0) throw new Error(`${missing.join()} of ${ASSURANCES[level]} and better went`);
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

interface Link {
  readonly age: number;
  readonly assurance: (typeof ASSURANCES)[number];
}
const anyLinks: fc.Arbitrary<Link[]> = fc.array(fc.record({ age: anyAge, assurance: fc.constantFrom(...ASSURANCES) }), {
  minLength: 1,
  maxLength: 5,
});

/** Chains of real backups: within one, each is younger than what it stands on. */
const chainsOf = (chains: readonly (readonly Link[])[]): BookedBackup[] =>
  chains.flatMap((links, chain) => {
    const ages = links.map(({ age }) => age).sort((a, b) => b - a);
    return links.map(({ assurance }, position) => {
      const uuid = `${chain}-${position}`;
      const details = toDetails(
        keys({
          ...{ chainId: `chain-${chain}`, bitmapName: `backup-${chain}00${position}`, position },
          ...{
            parentBackupId: position === 0 ? null : `${chain}-${position - 1}`,
            type: position === 0 ? 'full' : 'incremental',
          },
        }),
      );
      const own = { uuid, assurance, details, size: 1, date: NOW - (ages[position] ?? 0) };
      return position === 0 ? full(own) : parent(own);
    });
  });

describe('planRetention, over any chains and policies', () => {
  it('keeps invariant 6, what is young and what is protected, and has nothing left to do once it was done', () => {
    const met = { hidden: 0, removed: 0, stays: 0 };
    fc.assert(
      fc.property(
        fc.array(anyLinks, { minLength: 1, maxLength: 4 }).map(chainsOf),
        anyPolicy,
        fc.nat(48),
        (backups, policy, minAgeHours) => {
          const held = backups[0]?.uuid ?? '';
          const rules = { policy, minAgeHours, zone: 'UTC', now: NOW, activeCheckpointId: null };
          const protections = [{ backup: held, until: null, by: 'ops', why: 'kept' }];
          const plan = planRetention({ ...rules, backups, protections });
          for (const { fate } of plan.lines) met[fate] += 1;

          const gone = new Set(plan.steps.flatMap((step) => (step.kind === 'remove' ? [step.backup] : [])));
          const hidden = new Set(plan.steps.flatMap((step) => (step.kind === 'hide' ? [step.backup] : [])));
          const later = backups
            .filter(({ uuid }) => !gone.has(uuid))
            .map((one): BookedBackup => (hidden.has(one.uuid) ? { ...one, status: 'Hidden' } : one));
          // What is offered has all that it stands on.
          for (const { uuid, status } of later) {
            if (status !== 'BackedUp') continue;
            const [chain = '', position = ''] = uuid.split('-');
            for (let below = Number(position); below >= 0; below -= 1)
              if (!later.some((one) => one.uuid === `${chain}-${below}`)) throw new Error(`${uuid} has lost ${chain}-${below}`);
          }
          // What is hidden carries somebody.
          const carried = (uuid: string): boolean =>
            later.some((one) => one.status === 'BackedUp' && one.uuid.split('-')[0] === uuid.split('-')[0] && one.uuid > uuid);
          const idle = later.filter(({ uuid, status }) => status === 'Hidden' && !carried(uuid));
          if (idle.length > 0) throw new Error(`${idle[0]?.uuid} is hidden and carries nobody`);
          const worth = (all: readonly BookedBackup[]): number =>
            Math.max(-1, ...restorePoints(all).map(({ assurance }) => ASSURANCES.indexOf(assurance)));
          if (worth(later) !== worth(backups)) throw new Error('the best point went');
          const young = backups.filter(({ date }) => (date ?? 0) > NOW - minAgeHours * HOUR);
          if ([...young, { uuid: held }].some(({ uuid }) => hidden.has(uuid) || gone.has(uuid)))
            throw new Error('what is young or protected went');
          const again = planRetention({ ...rules, backups: later, protections });
          if (again.steps.length > 0) throw new Error(`a second time: ${JSON.stringify(again.steps)}`);
        },
      ),
      { numRuns: 800 * THOROUGH },
    );
    for (const [fate, times] of Object.entries(met)) expect([fate, times > 100, times]).toEqual([fate, true, times]);
  });
});
