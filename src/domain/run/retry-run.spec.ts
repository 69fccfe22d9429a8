import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FailedAttempt, retryRun, type RetryLimits } from './retry-run';

const LIMITS: RetryLimits = { attempts: 5, firstSeconds: 60, longestSeconds: 300 };
const FAILED: FailedAttempt = { runId: 'r', attempt: 1, family: 'operational', code: 'host.unreachable' };
const afterMs = (different: Partial<FailedAttempt> = {}): number => {
  const answer = retryRun({ ...FAILED, ...different }, LIMITS);
  return answer.kind === 'again' ? answer.afterMs : -1;
};

describe('retryRun', () => {
  it.each([
    [{ family: 'user', code: 'vm.no-offering' }, 'of-the-caller', /vm.no-offering.*until somebody changes what was asked for/],
    [{ family: 'invariant', code: 'run.without-vm' }, 'of-ours', /an error of ours/],
    [{ code: 'host.sudo-refused' }, 'needs-somebody', /until somebody mends it/],
    [{ attempt: 5 }, 'attempts-spent', /attempt 5 of 5 failed \(host.unreachable\), and there is no further one/],
    [{ attempt: 6 }, 'attempts-spent', /attempt 6 of 5/],
  ] as const)('does not try again: %j', (different, code, sentence) => {
    expect(retryRun({ ...FAILED, ...different }, LIMITS)).toEqual({
      kind: 'never',
      code,
      sentence: expect.stringMatching(sentence),
    });
  });

  it('waits for a VM that somebody else is at work on: a migration loses no backup', () => {
    for (const code of ['vm.busy', 'vm.migrating', 'vm.restoring', 'backup.in-progress'])
      expect(retryRun({ ...FAILED, family: 'user', code }, LIMITS).code).toBe('tried-again');
  });

  it('tries nothing twice where there is one attempt', () => {
    expect(retryRun(FAILED, { ...LIMITS, attempts: 1 })).toMatchObject({ code: 'attempts-spent' });
  });

  it('waits twice as long each time, up to the longest, and up to a quarter less', () => {
    for (const [attempt, seconds] of [60, 120, 240, 300].entries()) {
      const all = Array.from({ length: 500 }, (_, index) => afterMs({ runId: `run-${index}`, attempt: attempt + 1 }));
      expect(Math.max(...all)).toBeLessThanOrEqual(seconds * 1000);
      expect(Math.min(...all)).toBeGreaterThan(seconds * 750);
      // Spread over that quarter, not in a heap.
      const fifths = new Set(all.map((ms) => Math.floor(((seconds * 1000 - ms) / (seconds * 250)) * 5)));
      expect(fifths.size).toBe(5);
    }
  });

  it('answers the same for the same attempt, and otherwise for the next', () => {
    expect(afterMs()).toBe(afterMs());
    expect(afterMs({ attempt: 4 }) / afterMs({ attempt: 5 - 1, runId: 'q' })).not.toBe(1);
    expect(retryRun(FAILED, LIMITS)).toMatchObject({ code: 'tried-again', sentence: expect.stringMatching(/^attempt 1 of 5 failed \(host.unreachable\); it is tried again in \d+ s$/) }); // prettier-ignore
    expect(retryRun({ ...FAILED, attempt: 4 }, LIMITS).sentence).toMatch(/in [45] min$/);
  });

  it('knows the codes that wait for somebody, and those that pass, from docs/errors.md', () => {
    const source = readFileSync(join(__dirname, 'retry-run.ts'), 'utf8');
    const listed = [...source.matchAll(/(?:NEEDS_SOMEBODY|PASSES): ReadonlySet<string> = new Set\(\[([^\]]*)\]/g)].join();
    const page = readFileSync(join(__dirname, '../../../docs/errors.md'), 'utf8');
    const codes = [...listed.matchAll(/'([^']+)'/g)].map(([, code]) => code ?? '');
    expect(codes.length).toBeGreaterThan(10);
    expect(codes.filter((code) => !page.includes(`| \`${code}\` |`))).toEqual([]);
  });
});
