import fc from 'fast-check';
import { decideBackup } from '../../../src/domain/chain/decide-backup';
import { FULL_REASONS, INCREMENTAL_REASONS } from '../../../src/domain/chain/reasons';
import { THOROUGH } from '../../support/thorough';
import { anySituation } from './any-situation';
import { expectedOutcome, RULES_OF_REFUSAL } from './oracle';

const RUNS = 6000 * THOROUGH;

describe('decideBackup, over any situation', () => {
  it('decides as an oracle that was written apart from it', () => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(anySituation, (input) => {
        const decision = decideBackup(input);
        const outcome = decision.kind === 'refused' ? decision.code : decision.reason;
        met.set(outcome, (met.get(outcome) ?? 0) + 1);
        expect(outcome).toBe(expectedOutcome(input));
      }),
      { numRuns: RUNS },
    );
    // An oracle that was never asked about something has not agreed to it.
    const outcomes = [...RULES_OF_REFUSAL.map(([code]) => code), ...Object.keys({ ...FULL_REASONS, ...INCREMENTAL_REASONS })];
    expect([...met.keys()].sort()).toEqual(outcomes.sort());
    expect(met.get('regular')).toBeGreaterThan(RUNS / 50);
  });

  it('gives plans that are whole, whatever they are', () => {
    fc.assert(
      fc.property(anySituation, (input) => {
        const plan = decideBackup(input);
        if (plan.kind === 'refused') return;
        expect(plan.disks.map(({ target }) => target)).toEqual(input.facts.disks.map(({ target }) => target));
        expect(plan.evidence.length).toBeGreaterThan(0);
        const incapable =
          input.script.dialect === 'legacy' || plan.reason === 'storage-unsupported' || plan.reason === 'image-unsupported';
        expect(plan.kind).toBe(incapable ? 'legacy-full' : plan.reason in INCREMENTAL_REASONS ? 'incremental' : 'full');
        expect(plan.superseded).not.toContain(plan.bitmapNew);
        const shown = [
          ...input.facts.checkpoints,
          ...input.facts.disks.flatMap(({ bitmaps }) => bitmaps?.map(({ name }) => name) ?? []),
        ];
        expect(shown).not.toContain(plan.bitmapNew);
        if (plan.kind === 'incremental') {
          expect(plan.parent.bitmap).toBe(input.books.activeCheckpointId);
          expect(plan.superseded).toContain(plan.parent.bitmap);
          expect(plan.position).toBeLessThan(input.policy.fullEvery ?? 0);
          expect(plan.disks.some(({ mode }) => mode === 'rescued')).toBe(plan.reason === 'rescued');
          for (const disk of plan.disks) expect(disk.parentFile).toMatch(/^[^/]+\/[^/]+\/[^/]+$/);
        } else {
          expect(plan.disks.every(({ mode, parentFile }) => mode === 'full' && parentFile === null)).toBe(true);
        }
      }),
      { numRuns: 2000 * THOROUGH },
    );
  });
});
