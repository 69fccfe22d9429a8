import fc from 'fast-check';
import { jitterOf } from '../../../src/domain/schedule/jitter-of';
import { THOROUGH } from '../../support/thorough';

const VMS = 6000;
const BOXES = 60;
/** A fair spread over 60 boxes comes to 59 and, in one of a hundred million, to this. */
const BOUND = 145;

/** How uneven: the sum of the squares of what is too much or too little, by what there should be. */
function unevenness(boxes: readonly number[]): number {
  const fair = VMS / BOXES;
  return boxes.reduce((sum, count) => sum + (count - fair) ** 2 / fair, 0);
}

describe('jitterOf, over any names', () => {
  it('stays within its bounds, and is the same each time', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(100_000), (schedule, vm, most) => {
        const seconds = jitterOf(schedule, vm, most);
        if (!Number.isInteger(seconds) || seconds < 0 || seconds > most) throw new Error(`${seconds} of ${most}`);
        if (jitterOf(schedule, vm, most) !== seconds) throw new Error('another');
      }),
      { numRuns: 2000 * THOROUGH },
    );
  });

  it.each([
    ['of VMs that are numbered', (_: string, index: number) => `i-2-${index}-VM`],
    ['of VMs that have ids', (_: string, index: number) => `7c1f9a52-6f0e-4a39-9c57-${index.toString(16).padStart(12, '0')}`],
    ['of VMs with long names that differ at their start', (name: string, index: number) => `${index}-${name.repeat(3)}`],
  ])('spreads the load of a schedule evenly: %s', (_, vmOf) => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.constantFrom(59, 3599), (schedule, name, most) => {
        const boxes = Array.from({ length: BOXES }, () => 0);
        for (let index = 0; index < VMS; index += 1) {
          const box = Math.floor((jitterOf(schedule, vmOf(name, index), most) / (most + 1)) * BOXES);
          boxes[box] = (boxes[box] ?? 0) + 1;
        }
        const found = unevenness(boxes);
        if (found > BOUND) throw new Error(`${found}: ${boxes.join()}`);
        // Too even is no chance either, and would fail with another count of VMs.
        if (found < 15) throw new Error(`${found} is too good: ${boxes.join()}`);
      }),
      { numRuns: 10 * THOROUGH },
    );
  });
});
