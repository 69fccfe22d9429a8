import { full, keys, parent } from '../../../test/unit/chain/situation';
import type { BookedBackup } from '../chain/booked-backup';
import { toDetails } from '../chain/chain-keys';
import { planRetention, type RetentionInput } from './plan-retention';
import { NO_COUNTS } from './retention-rules';

const NOW = Date.UTC(2026, 10, 29, 12) / 1000;

/** `a2`: the third link of chain a. One letter after the other, and a chain link by link. */
const link = (uuid: string, over: Partial<BookedBackup> = {}): BookedBackup => {
  const [chainId = '', position] = [uuid.slice(0, 1), Number(uuid.slice(1))];
  const date = NOW - 90_000 + (chainId.charCodeAt(0) - 97) * 100 + position;
  const names = { chainId: `chain-${chainId}`, bitmapName: `backup-${date}`, position };
  if (position === 0) return full({ uuid, date, size: 1, details: toDetails(keys({ ...names, type: 'full' })), ...over });
  const details = toDetails(keys({ ...names, parentBackupId: `${chainId}${position - 1}`, type: 'incremental' }));
  return parent({ uuid, date, size: 1, details, ...over });
};
const DAMAGED = { files: 'damaged', assurance: 'broken' } as const;
const A = [link('a3'), link('a2', DAMAGED), link('a1'), link('a0')];

const plan = (backups: readonly BookedBackup[], over: Partial<RetentionInput> = {}) =>
  planRetention({
    ...{ backups, activeCheckpointId: null, protections: [], notComparedSince: null, schedules: [], now: NOW },
    ...{ policy: { ...NO_COUNTS, keepLast: 1 }, minAgeHours: 0, zone: 'UTC', manual: true, origins: new Map() },
    ...over,
  });
const fates = (...of: Parameters<typeof plan>): string[] =>
  plan(...of).lines.map(({ backup, fate, why }) => `${backup} ${fate}: ${why}`);

describe('planRetention', () => {
  it('lets nothing go by books from a copy that nobody has compared with the NAS, hidden ones neither', () => {
    const books = [link('b0'), link('a0'), link('c0', { status: 'Hidden' })];
    expect(plan(books).steps.map(({ kind, backup }) => `${kind} ${backup}`)).toEqual(['hide a0', 'remove a0', 'remove c0']);
    const notComparedSince = '2026-11-28T02:00:00.000Z';
    expect(plan(books, { notComparedSince }).steps).toEqual([]);
    expect(fates(books, { notComparedSince })).toEqual([
      'b0 stays: keep last',
      expect.stringMatching(
        /^a0 stays: The books of the VM were brought back from a copy of 2026-11-28T02:00:00.000Z, and nobody/,
      ),
    ]);
  });
});

describe('planRetention, where backups cannot be restored', () => {
  it('frees a chain with a damaged link as a whole, once no rule keeps any of it', () => {
    const { lines, steps, pointsLeft } = plan([link('b0'), ...A]);
    expect(lines.map(({ backup, restorable, fate, why }) => [backup, restorable, fate, why])).toEqual([
      ['b0', true, 'stays', 'keep last'],
      ['a3', false, 'removed', 'no rule keeps it; cannot be restored: files that it stands on are damaged'],
      ['a2', false, 'removed', 'no rule keeps it; cannot be restored: its files are damaged'],
      ['a1', true, 'removed', 'no rule keeps it'],
      ['a0', true, 'removed', 'no rule keeps it'],
    ]);
    expect(steps.filter(({ kind }) => kind === 'remove').map(({ backup }) => backup)).toEqual(['a3', 'a2', 'a1', 'a0']);
    expect(pointsLeft).toBe(1);
  });

  it('gives up no good point for a newer one that cannot be restored', () => {
    expect(fates(A)).toEqual([
      'a3 stays: keep last; cannot be restored: files that it stands on are damaged',
      'a2 hidden: no rule keeps it; links that stay stand on it; cannot be restored: its files are damaged',
      'a1 stays: keep last',
      'a0 hidden: no rule keeps it; links that stay stand on it',
    ]);
  });

  it('leaves alone what somebody protects or asked for, and what is too young', () => {
    const protections = [{ backup: 'a2', until: null, by: 'ops', why: 'evidence' }];
    expect(fates([link('b0'), ...A], { protections })[2]).toMatch(/^a2 stays: Backup a2 is protected by ops/);
    const origins = new Map([['b0', { scheduleId: null, manual: false }]]);
    expect(fates([link('b0'), ...A], { manual: false, origins })[2]).toMatch(/^a2 stays: somebody asked for it/);
    expect(fates([link('b0'), ...A], { minAgeHours: 48 })[2]).toMatch(/^a2 stays: younger than 48 h/);
  });

  it('keeps all where nothing can be restored, and what nobody knows the chain of', () => {
    expect(fates([link('a1'), link('a0', { files: 'missing' })])).toEqual([
      'a1 stays: keep last; cannot be restored: files that it stands on are missing',
      'a0 stays: nothing else of the VM can be restored either; cannot be restored: its files are missing',
    ]);
    expect(fates([link('b0'), link('a1', { details: [] })])).toEqual([
      'b0 stays: keep last',
      'a1 stays: nobody knows what stands on it; cannot be restored: it is incremental and in no chain',
    ]);
  });

  it('a tombstone takes nobody’s place', () => {
    expect(fates([link('b0', { status: 'Hidden' }), link('a0')])).toEqual(['a0 stays: keep last']);
  });
});
