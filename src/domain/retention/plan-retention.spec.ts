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

describe('planRetention, whose word counts', () => {
  const BOOKS = ['f', 'e', 'd', 'c', 'b', 'a'].map((name) => link(`${name}0`));
  const by = (...ids: (number | null)[]): RetentionInput['origins'] =>
    new Map(BOOKS.map(({ uuid }, index) => [uuid, { scheduleId: ids[index] ?? null, manual: (ids[index] ?? null) === null }]));
  const DAILY = { id: 1, name: 'daily', maxBackups: 2 };
  const WEEKLY = { id: 2, name: 'weekly', maxBackups: 1 };

  it('a schedule speaks of its own backups alone', () => {
    const origins = by(2, 1, 1, 2, 1, null);
    expect(fates(BOOKS, { policy: NO_COUNTS, schedules: [DAILY, WEEKLY], origins })).toEqual([
      'f0 stays: the weekly schedule keeps its newest 1',
      'e0 stays: the daily schedule keeps its newest 2',
      'd0 stays: the daily schedule keeps its newest 2',
      'c0 removed: no rule keeps it',
      'b0 removed: no rule keeps it',
      'a0 stays: no rule speaks of it',
    ]);
    expect(fates(BOOKS, { policy: NO_COUNTS, schedules: [{ ...DAILY, maxBackups: 0 }, WEEKLY], origins }).slice(1, 3)).toEqual([
      'e0 stays: no rule speaks of it',
      'd0 stays: no rule speaks of it',
    ]);
  });

  it('what a policy keeps stays whatever a schedule says, and the other way round', () => {
    const asked = { schedules: [DAILY], origins: by(2, 1, 1, 1, 2, null), manual: false };
    expect(fates(BOOKS, asked)).toEqual([
      'f0 stays: keep last',
      'e0 stays: the daily schedule keeps its newest 2',
      'd0 stays: the daily schedule keeps its newest 2',
      'c0 removed: no rule keeps it',
      'b0 removed: no rule keeps it',
      'a0 stays: somebody asked for it, and the policy leaves such alone',
    ]);
    expect(fates(BOOKS, { ...asked, policy: { ...NO_COUNTS, keepLast: 2 } }).slice(0, 2)).toEqual([
      'f0 stays: keep last',
      'e0 stays: keep last',
    ]);
  });

  it('what somebody asked for takes nobody’s place, unless the policy says so; whose origin nobody knows counts as that', () => {
    const origins = new Map([...by(null, 1, 1, null, 1, 1)].filter(([uuid]) => uuid !== 'c0'));
    expect(fates(BOOKS, { origins, manual: false })).toEqual([
      'f0 stays: somebody asked for it, and the policy leaves such alone',
      'e0 stays: keep last',
      'd0 removed: no rule keeps it',
      'c0 stays: somebody asked for it, and the policy leaves such alone',
      'b0 removed: no rule keeps it',
      'a0 removed: no rule keeps it',
    ]);
    expect(fates(BOOKS, { origins })).toEqual([
      'f0 stays: keep last',
      ...['e0', 'd0', 'c0', 'b0', 'a0'].map((uuid) => `${uuid} removed: no rule keeps it`),
    ]);
  });

  it('keeps what is younger to the second', () => {
    const at = (uuid: string, age: number): BookedBackup => link(uuid, { date: NOW - age });
    expect(fates([at('c0', 0), at('b0', 3599), at('a0', 3600)], { minAgeHours: 1 })).toEqual([
      'c0 stays: keep last',
      'b0 stays: younger than 1 h',
      'a0 removed: no rule keeps it',
    ]);
  });
});

describe('planRetention, in what order and how much', () => {
  it('hides what others stand on, the oldest first, and says what is freed and left', () => {
    const chain = [link('a2', { size: 4 }), link('a1', { size: 2 }), link('a0', { size: 1 })];
    const { kind, steps, bytesFreed, pointsLeft } = plan([link('b0'), ...chain], { policy: { ...NO_COUNTS, keepLast: 2 } });
    expect(kind).toBe('retention');
    expect(steps.map((step) => `${step.kind} ${step.backup}`)).toEqual(['hide a0', 'hide a1']);
    expect([bytesFreed, pointsLeft]).toEqual([0, 2]);
    const whole = plan([link('b0'), ...chain]);
    expect(whole.steps.map((step) => `${step.kind} ${step.backup}`)).toEqual([
      ...['hide a0', 'hide a1', 'hide a2', 'remove a2', 'remove a1', 'remove a0'],
    ]);
    expect([whole.bytesFreed, whole.pointsLeft]).toEqual([7, 1]);
  });

  it('closes the chain of the bitmap that goes', () => {
    const steps = plan([link('b0'), link('a0')], { activeCheckpointId: `backup-${NOW - 90_000}` }).steps;
    expect(steps.map(({ kind, backup }) => `${kind} ${backup}`)).toEqual(['hide a0', 'close-chain a0', 'remove a0']);
  });

  it('goes by the place in the books where dates are alike; what has no date is of now', () => {
    const twins = ['a0', 'b0', 'c0'].map((uuid) => link(uuid, { date: NOW - 7200 }));
    expect(fates(twins).map((line) => line.slice(0, 8))).toEqual(['a0 stays', 'b0 remov', 'c0 remov']);
    expect(fates([...twins].reverse()).map((line) => line.slice(0, 8))).toEqual(['c0 stays', 'b0 remov', 'a0 remov']);
    // One that cannot be restored has its place among them.
    const dead = link('d0', { date: NOW - 7200, files: 'missing' });
    expect(plan([dead, ...twins]).lines.map(({ backup }) => backup)).toEqual(['d0', 'a0', 'b0', 'c0']);
    expect(plan([...twins.slice(0, 1), dead, ...twins.slice(1)]).lines.map(({ backup }) => backup)).toEqual([
      'a0',
      'd0',
      'b0',
      'c0',
    ]);
    expect(fates([link('b0', { date: NOW - 1 }), link('a0', { date: null })])).toEqual([
      'a0 stays: keep last',
      'b0 removed: no rule keeps it',
    ]);
  });

  it('removes what a deletion that was cut short has left, and nothing of it that is protected or carries another', () => {
    const protections = [{ backup: 'c0', until: null, by: 'ops', why: 'evidence' }];
    const left = ['c0', 'b0'].map((uuid) => link(uuid, { status: 'Hidden' }));
    expect(plan([link('d0'), ...left]).steps.map(({ kind, backup }) => `${kind} ${backup}`)).toEqual(['remove c0', 'remove b0']);
    expect(plan([link('d0'), ...left], { protections }).steps).toEqual([]);
    // A link that a living one stands on stays hidden.
    expect(plan([link('a1'), link('a0', { status: 'Hidden' })]).steps).toEqual([]);
  });

  it('a dead full in no chain goes by the rules', () => {
    const lone = link('a0', { details: [], files: 'missing' });
    expect(fates([link('c0'), link('b0', { files: 'missing' }), lone], { policy: { ...NO_COUNTS, keepLast: 1 } })).toEqual([
      'c0 stays: keep last',
      'b0 removed: no rule keeps it; cannot be restored: its files are missing',
      'a0 removed: no rule keeps it; cannot be restored: its files are missing',
    ]);
  });
});
