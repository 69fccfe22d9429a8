import fc from 'fast-check';
import { nextDue } from './next-due';
import { nextDues } from './next-dues';
import { readRecurrence } from './read-recurrence';
import type { Recurrence } from './recurrence';

describe('nextDues', () => {
  it('says what nextDue says, in whatever order VMs ask', () => {
    const crons = ['* * * * *', '*/30 * * * *', '30 2 * * *', '0 0 1 1 *', '0 0 29 2 *'];
    const asking = fc.record({
      cron: fc.constantFrom(...crons),
      zone: fc.constantFrom('UTC', 'Europe/Berlin'),
      jitter: fc.nat(7200),
    });
    fc.assert(
      fc.property(fc.nat(366 * 86_400), fc.array(asking, { minLength: 1, maxLength: 20 }), (second, all) => {
        const after = new Date(Date.UTC(2027, 0, 1) + second * 1000);
        const next = nextDues(after);
        for (const { cron, zone, jitter } of all) {
          const rhythm = { recurrence: readRecurrence({ cron }) as Recurrence, zone, jitter };
          expect(next(rhythm)).toEqual(nextDue(rhythm, after));
        }
      }),
      { numRuns: 60 },
    );
  });
});
