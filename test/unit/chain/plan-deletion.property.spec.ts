import fc from 'fast-check';
import { ASSURANCES } from '../../../src/domain/chain/assurance';
import type { BookedBackup } from '../../../src/domain/chain/booked-backup';
import { toDetails } from '../../../src/domain/chain/chain-keys';
import { type DeletionStep, planDeletion } from '../../../src/domain/chain/plan-deletion';
import { THOROUGH } from '../../support/thorough';
import { full, keys, parent } from './situation';

/** A backup as the NAS knows it: what it really stands on, whatever the books say. */
interface Real {
  readonly uuid: string;
  readonly on: string | null;
  readonly assurance: (typeof ASSURANCES)[number];
  /** What the books have for its parent: its name, none, or a name that leads nowhere. */
  readonly named: 'well' | 'not' | 'wrongly';
  /** The books still have its position. */
  readonly placed: boolean;
}

const anyChain = (name: string): fc.Arbitrary<Real[]> =>
  fc
    .array(
      fc.record({
        assurance: fc.constantFrom(...ASSURANCES),
        named: fc.constantFrom('well' as const, 'well' as const, 'not' as const, 'wrongly' as const),
        placed: fc.constantFrom(true, true, true, false),
      }),
      { minLength: 1, maxLength: 6 },
    )
    .map((links) =>
      links.map(({ assurance, named, placed }, position) => ({
        uuid: `${name}${position}`,
        on: position === 0 ? null : `${name}${position - 1}`,
        assurance,
        named: position > 0 ? named : 'well',
        placed,
      })),
    );

const anyDeletion = fc.record({
  pick: fc.nat(20),
  forced: fc.boolean(),
  acceptLoss: fc.boolean(),
  /** Steps that are taken before somebody pulls the plug; most are taken to the end. */
  taken: fc.oneof({ weight: 2, arbitrary: fc.constant(99) }, { weight: 1, arbitrary: fc.nat(8) }),
});

const booked = ({ uuid, on, assurance, named, placed }: Real): BookedBackup => {
  const position = Number(uuid.slice(1));
  const details = toDetails(
    keys({
      chainId: `chain-${uuid.slice(0, 1)}`,
      bitmapName: `backup-${uuid}`.replace(/[a-z](\d+)$/, '10$1'),
      parentBackupId: named === 'well' ? on : named === 'not' ? null : 'nobody',
      position: placed ? position : null,
      type: position === 0 ? 'full' : 'incremental',
    }),
  );
  return position === 0 ? full({ uuid, assurance, details }) : parent({ uuid, assurance, details, size: 1 });
};

/** The NAS and the books, as steps change them. Written apart from the planner: it knows who really stands on whom. */
class World {
  readonly onNas: Set<string>;
  readonly rows: Map<string, BookedBackup>;

  constructor(private readonly real: readonly Real[]) {
    this.onNas = new Set(real.map(({ uuid }) => uuid));
    this.rows = new Map(real.map((one) => [one.uuid, booked(one)]));
  }

  take(step: DeletionStep): void {
    const row = this.rows.get(step.backup);
    if (step.kind === 'hide' && row) this.rows.set(step.backup, { ...row, status: 'Hidden' });
    if (step.kind !== 'remove') return;
    if (row?.status === 'BackedUp') throw new Error(`${step.backup} was removed while it was offered`);
    this.onNas.delete(step.backup);
    this.rows.delete(step.backup);
  }

  /** What people are offered. */
  offered(): string[] {
    return [...this.rows.values()].filter(({ status }) => status === 'BackedUp').map(({ uuid }) => uuid);
  }

  /** It and all that it really stands on, down to its full. */
  stack(uuid: string): Real[] {
    const one = this.real.find((other) => other.uuid === uuid);
    return one === undefined ? [] : [one, ...(one.on === null ? [] : this.stack(one.on))];
  }

  /** The worth of the best that is offered; -1: nothing is. */
  best(): number {
    const worth = ({ uuid }: Real): number => {
      const stack = this.stack(uuid);
      // Nobody can restore what the books do not lead to.
      if (stack.some(({ named, placed }) => named === 'wrongly' || !placed)) return -1;
      const levels = stack.map(({ assurance }) => ASSURANCES.indexOf(assurance));
      return Math.min(...levels, stack.every(({ named }) => named === 'well') ? 9 : ASSURANCES.indexOf('unproven'));
    };
    return Math.max(-1, ...this.real.filter(({ uuid }) => this.offered().includes(uuid)).map(worth));
  }
}

describe('planDeletion, over any chains and any order, cut short or not', () => {
  it('never takes an ancestor from under a point that is offered, nor the last or best point unasked', () => {
    const met = { hidden: 0, removed: 0, refused: 0, cut: 0, forced: 0 };
    fc.assert(
      fc.property(
        fc.tuple(anyChain('a'), anyChain('b')).map(([a, b]) => [...a, ...b]),
        fc.array(anyDeletion, { minLength: 1, maxLength: 8 }),
        fc.constantFrom(null, 'a', 'b'),
        (real, deletions, held) => {
          const world = new World(real);
          const protections = held === null ? [] : [{ backup: `${held}0`, until: null, by: 'ops', why: 'kept' }];
          for (const { pick, forced, acceptLoss, taken } of deletions) {
            const backup = real[pick % real.length]?.uuid ?? '';
            const before = world.best();
            const offered = world.offered();
            const plan = planDeletion(
              { backup, forced, acceptLoss },
              { backups: [...world.rows.values()], activeCheckpointId: null, protections, notComparedSince: null },
            );
            if (plan.kind === 'refused') {
              met.refused += 1;
              continue;
            }
            plan.steps.slice(0, taken).forEach((step) => world.take(step));
            met.hidden += plan.steps.some(({ kind }) => kind === 'hide') ? 1 : 0;
            met.removed += plan.steps.some(({ kind }) => kind === 'remove') ? 1 : 0;
            met.cut += plan.steps.length > taken ? 1 : 0;
            met.forced += forced ? 1 : 0;

            // Plain throws: a matcher for each of a million looks takes minutes.
            const fallen = world.offered().filter((uuid) => world.stack(uuid).some((one) => !world.onNas.has(one.uuid)));
            if (fallen.length > 0) throw new Error(`${fallen.join()} have lost an ancestor`);
            if (!acceptLoss && world.best() !== before) throw new Error(`the best point went: ${before}, ${world.best()}`);
            if (held !== null && !world.offered().includes(`${held}0`)) throw new Error('a protected backup went');
            const lost = offered.filter((uuid) => !world.offered().includes(uuid));
            const named = (uuid: string): boolean => (forced ? uuid.startsWith(backup.slice(0, 1)) : uuid === backup);
            if (!lost.every(named)) throw new Error(`${lost.join()} went with ${backup}`);
          }
          // Whatever happened: when all is asked for, and nothing cuts it short, nothing stays.
          for (const { uuid } of real) {
            const request = { backup: uuid, forced: false, acceptLoss: true };
            const plan = planDeletion(request, {
              ...{ backups: [...world.rows.values()], activeCheckpointId: null, protections: [], notComparedSince: null },
            });
            if (plan.kind === 'refused') throw new Error(plan.code);
            plan.steps.forEach((step) => world.take(step));
          }
          expect([...world.rows.keys(), ...world.onNas]).toEqual([]);
        },
      ),
      { numRuns: 800 * THOROUGH },
    );
    for (const [what, times] of Object.entries(met)) expect([what, times > 50]).toEqual([what, true]);
  });
});
