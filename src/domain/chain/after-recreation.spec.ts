import { causeOfNext } from './after-recreation';

describe('the run after a recreation', () => {
  const hole = { recreation: { bitmap: 'backup-1', method: 'unknown' }, assurance: 'unproven' } as const;
  const cause = (different: Partial<Parameters<typeof causeOfNext>[0]> = {}): string | null =>
    causeOfNext({ ...hole, ...different }, 'uuid-1', 'at-once', false);

  it('is asked for with the backup, its assurance and the bitmap named', () => {
    expect(cause()).toMatch(/^Backup uuid-1 is unproven: .*backup-1, /);
    expect(cause({ assurance: 'broken' })).toMatch(/^Backup uuid-1 is broken: /);
  });

  it('is not asked for where the delta is exact, or nothing was recreated', () => {
    for (const method of ['redefined', 'rescued'] as const)
      expect(cause({ recreation: { bitmap: 'backup-1', method }, assurance: 'accounted' })).toBeNull();
    expect(cause({ recreation: null })).toBeNull();
  });

  it('is not asked for where the offering waits, or where the service had asked already', () => {
    expect(causeOfNext(hole, 'uuid-1', 'next', false)).toBeNull();
    expect(causeOfNext(hole, 'uuid-1', 'at-once', true)).toBeNull();
  });
});
