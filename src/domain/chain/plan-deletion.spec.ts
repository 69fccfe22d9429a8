import { full, keys, parent, VM } from '../../../test/unit/chain/situation';
import type { BookedBackup } from './booked-backup';
import { toDetails } from './chain-keys';
import { type DeletionBooks, type DeletionPlan, type DeletionRequest, planDeletion } from './plan-deletion';

const link = (uuid: string, position: number, under: string, over: Partial<BookedBackup> = {}): BookedBackup =>
  parent({
    uuid,
    externalId: `${VM}/${uuid}`,
    size: 10 * position,
    details: toDetails(keys({ parentBackupId: under, bitmapName: `backup-${position}`, position, type: 'incremental' })),
    ...over,
  });
const FULL = full({ uuid: 'full', externalId: `${VM}/full`, size: 1000, details: toDetails(keys({ bitmapName: 'backup-0' })) });
const CHAIN = [link('c', 3, 'b'), link('b', 2, 'a'), link('a', 1, 'full'), FULL];
const ELSEWHERE = full({
  uuid: 'other',
  externalId: `${VM}/other`,
  details: toDetails(keys({ chainId: 'another-chain', bitmapName: 'backup-99' })),
});
const with_ = (uuid: string, over: Partial<BookedBackup>): BookedBackup[] =>
  CHAIN.map((backup) => (backup.uuid === uuid ? { ...backup, ...over } : backup));

const decide = (request: Partial<DeletionRequest>, books: Partial<DeletionBooks> = {}) =>
  planDeletion(
    { backup: 'c', forced: false, acceptLoss: false, ...request },
    { backups: CHAIN, activeCheckpointId: 'backup-3', protections: [], notComparedSince: null, ...books },
  );
const planned = (...asked: Parameters<typeof decide>): DeletionPlan => {
  const plan = decide(...asked);
  if (plan.kind === 'refused') throw new Error(plan.code);
  return plan;
};
const steps = (...asked: Parameters<typeof decide>): string[] =>
  planned(...asked).steps.map(({ kind, backup }) => `${kind} ${backup}`);
const refused = (...asked: Parameters<typeof decide>): string => {
  const plan = decide(...asked);
  return plan.kind === 'refused' ? plan.code : 'planned';
};
const reasons = (...asked: Parameters<typeof decide>): string[] =>
  planned(...asked).steps.map(({ kind, backup, why }) => `${kind} ${backup}: ${why}`);

/** A full in no chain, that stands for itself. */
const legacy = (over: Partial<BookedBackup> = {}): BookedBackup => full({ uuid: 'legacy', details: [], ...over });
/** An incremental at this position whose parent is not in the books: it may stand on any link that lies lower. */
const astray = (uuid: string, position: number | null): BookedBackup =>
  link(uuid, 0, '', {
    details: toDetails(keys({ parentBackupId: 'nobody', bitmapName: `backup-${uuid}`, position, type: 'incremental' })),
  });
const ANOTHER_FIRST = 'Take another backup first, or accept the loss (--accept-loss).';

describe('planDeletion', () => {
  it('a leaf: hidden, its chain closed, then its files and its row', () => {
    const plan = planned({ backup: 'c' });
    expect(plan.steps).toEqual([
      { kind: 'hide', backup: 'c', why: 'it is to be deleted: nobody may restore it or build on it meanwhile' },
      { kind: 'close-chain', backup: 'c', bitmap: 'backup-3', why: 'the next incremental would have been built on it' },
      { kind: 'remove', backup: 'c', externalId: `${VM}/c`, bytes: 30, why: 'it is to be deleted' },
    ]);
    expect(plan).toMatchObject({ pointsLost: ['c'], pointsLeft: 3, bytesFreed: 30 });
    expect(steps({ backup: 'c' }, { activeCheckpointId: null })).toEqual(['hide c', 'remove c']);
  });

  it('a link that others stand on is hidden, and nothing else', () => {
    const plan = planned({ backup: 'a' });
    expect(plan.steps).toEqual([
      {
        kind: 'hide',
        backup: 'a',
        why: 'it is to be deleted, and other links stand on it: its files stay until those have gone',
      },
    ]);
    expect(plan).toMatchObject({ pointsLost: ['a'], pointsLeft: 3, bytesFreed: 0 });
    expect(steps({ backup: 'full' })).toEqual(['hide full']);
  });

  it('with the last link above them go the hidden ones, down to the first that lives', () => {
    const hidden = CHAIN.map((backup) => (['a', 'b'].includes(backup.uuid) ? { ...backup, status: 'Hidden' as const } : backup));
    expect(steps({ backup: 'c' }, { backups: hidden })).toEqual(['hide c', 'close-chain c', 'remove c', 'remove b', 'remove a']);
    expect(planned({ backup: 'c' }, { backups: hidden }).bytesFreed).toBe(60);
    expect(steps({ backup: 'c' }, { backups: with_('a', { status: 'Hidden' }) })).toEqual([
      ...['hide c', 'close-chain c', 'remove c'],
    ]);
  });

  it('what an interrupted deletion has left hidden goes along with the next, of whatever chain', () => {
    const left = with_('c', { status: 'Hidden' });
    expect(steps({ backup: 'b' }, { backups: left, activeCheckpointId: null })).toEqual(['hide b', 'remove c', 'remove b']);
    expect(steps({ backup: 'gone' }, { backups: left, activeCheckpointId: null })).toEqual(['remove c']);
    expect(steps({ backup: 'other' }, { backups: [...left, ELSEWHERE], activeCheckpointId: null })).toEqual([
      ...['hide other', 'remove c', 'remove other'],
    ]);
  });

  it('forced: the whole chain, from its end, and no other', () => {
    const plan = planned({ backup: 'a', forced: true }, { backups: [...CHAIN, ELSEWHERE] });
    expect(plan.steps.map(({ kind, backup }) => `${kind} ${backup}`)).toEqual([
      ...['hide c', 'hide b', 'hide a', 'hide full', 'close-chain c'],
      ...['remove c', 'remove b', 'remove a', 'remove full'],
    ]);
    expect(plan.steps.at(-1)?.why).toBe('its whole chain is to be deleted');
    expect(plan).toMatchObject({ pointsLost: ['full', 'a', 'b', 'c'], pointsLeft: 1, bytesFreed: 1060 });
  });

  it('a legacy full, a failed attempt: alone', () => {
    expect(steps({ backup: 'legacy' }, { backups: [legacy({ size: 5 }), ...CHAIN] })).toEqual(['hide legacy', 'remove legacy']);
    const failed = full({ uuid: 'failed', status: 'Error', details: [], size: 0 });
    expect(steps({ backup: 'failed' }, { backups: [failed, ...CHAIN] })).toEqual(['remove failed']);
  });

  it('what the books do not know is nothing to do: a second call finds it done', () => {
    expect(planned({ backup: 'gone' })).toEqual({
      ...{ kind: 'deletion', backup: 'gone', steps: [], pointsLost: [], pointsLeft: 4, bytesFreed: 0 },
    });
  });

  it('books from a copy that nobody has compared with the NAS: only if the loss is accepted, and never what is protected', () => {
    const copy = { notComparedSince: '2026-11-28T02:00:00.000Z' };
    const refusal = decide({ backup: 'c' }, copy);
    expect(refusal).toMatchObject({
      code: 'deletion.not-compared',
      message: expect.stringContaining('brought back from a copy of 2026-11-28T02:00:00.000Z') as string,
      next: expect.stringContaining('chainkeeper books compared') as string,
    });
    expect(steps({ backup: 'c', acceptLoss: true }, copy)).toEqual(['hide c', 'close-chain c', 'remove c']);
    expect(steps({ backup: 'gone' }, copy)).toEqual([]);
    const protections = [{ backup: 'c', until: null, by: 'ops', why: 'kept' }];
    expect(refused({ backup: 'c', acceptLoss: true }, { ...copy, protections })).toBe('deletion.protected');
  });

  it('where the lineage is not certain a link may stand on all that lies lower', () => {
    const orphan = with_('c', { details: toDetails(keys({ parentBackupId: 'nobody', position: 3, type: 'incremental' })) });
    expect(steps({ backup: 'b' }, { backups: orphan })).toEqual(['hide b']);
    expect(steps({ backup: 'c' }, { backups: orphan, activeCheckpointId: null })).toEqual(['hide c', 'remove c']);
  });

  it.each(['Allocated', 'Queued', 'BackingUp', 'Restoring'] as const)('%s: somebody is at it', (status) => {
    const busy = full({ uuid: 'busy', status, details: [] });
    expect(refused({ backup: 'busy' }, { backups: [busy, ...CHAIN] })).toBe('deletion.busy');
    if (status === 'Restoring')
      expect(refused({ forced: true, acceptLoss: true }, { backups: with_('a', { status }) })).toBe('deletion.busy');
  });

  it('protected: by no path, its hidden ancestors stay, and its neighbours may go', () => {
    const protections = [{ backup: 'b', until: null, by: 'ops', why: 'court order' }];
    const all = { backups: [...CHAIN, ELSEWHERE], protections };
    expect(refused({ backup: 'b', acceptLoss: true }, all)).toBe('deletion.protected');
    expect(refused({ backup: 'full', forced: true, acceptLoss: true }, all)).toBe('deletion.protected');
    expect(steps({ backup: 'a' }, all)).toEqual(['hide a']);
    expect(steps({ backup: 'c' }, all)).toEqual(['hide c', 'close-chain c', 'remove c']);
    expect(decide({ backup: 'b' }, { ...all, protections: [{ ...protections[0]!, until: 1_800_000_000 }] })).toMatchObject({
      message: 'Backup b is protected until 2027-01-15T08:00:00.000Z by ops: court order',
    });
  });

  it('the last restore point, and the best, go only when somebody accepts the loss', () => {
    expect(refused({ backup: 'full' }, { backups: [FULL] })).toBe('deletion.last-point');
    expect(refused({ backup: 'full', forced: true }, { backups: CHAIN })).toBe('deletion.last-point');
    expect(steps({ backup: 'full', acceptLoss: true }, { backups: [FULL], activeCheckpointId: null })).toEqual([
      'hide full',
      'remove full',
    ]);
    const better = { ...FULL, assurance: 'proven' as const };
    expect(decide({ backup: 'full' }, { backups: [...CHAIN.slice(0, 3), better] })).toMatchObject({
      code: 'deletion.best-point',
      message: expect.stringContaining('proven now, accounted afterwards'),
    });
    expect(refused({ backup: 'other' }, { backups: [...CHAIN.slice(0, 3), better, ELSEWHERE] })).toBe('planned');
    // What cannot be restored is no loss.
    const missing = full({ uuid: 'missing', files: 'missing', details: [] });
    expect(refused({ backup: 'missing' }, { backups: [missing] })).toBe('planned');
  });

  it('of a hidden link that goes along it says that nothing stands on it any more', () => {
    expect(reasons({ backup: 'other' }, { backups: [...with_('c', { status: 'Hidden' }), ELSEWHERE] })).toContain(
      'remove c: it was hidden, and nothing stands on it any more',
    );
  });

  it('a backup in no chain goes alone, also when its whole chain is asked for', () => {
    expect(steps({ backup: 'legacy', forced: true }, { backups: [legacy(), ...CHAIN] })).toEqual([
      'hide legacy',
      'remove legacy',
    ]);
  });

  it('a backup without a bitmap closes no chain, where no chain is open', () => {
    expect(steps({ backup: 'legacy' }, { backups: [legacy(), ...CHAIN], activeCheckpointId: null })).not.toContain(
      'close-chain legacy',
    );
  });

  describe('what stands on what', () => {
    const closed = { activeCheckpointId: null };

    it('of two links at one position, the one that nothing was built on goes', () => {
      const twin = link('twin', 2, 'a');
      expect(steps({ backup: 'twin' }, { backups: [twin, ...CHAIN], ...closed })).toEqual(['hide twin', 'remove twin']);
    });

    it('a link whose parent is not in the books keeps those below it', () => {
      expect(steps({ backup: 'b' }, { backups: [astray('x', 3), link('b', 2, 'a'), link('a', 1, 'full'), FULL] })).toEqual([
        'hide b',
      ]);
    });

    it('a link whose parent is not in the books keeps none above it', () => {
      expect(steps({ backup: 'c' }, { backups: [astray('x', 2), ...CHAIN], ...closed })).toEqual(['hide c', 'remove c']);
    });

    it('a link whose parent is not in the books keeps none beside it', () => {
      expect(steps({ backup: 'c' }, { backups: [astray('x', 3), ...CHAIN], ...closed })).toEqual(['hide c', 'remove c']);
    });

    it('a link whose place is not in the books keeps every other', () => {
      expect(steps({ backup: 'b' }, { backups: [astray('x', null), link('b', 2, 'a'), link('a', 1, 'full'), FULL] })).toEqual([
        'hide b',
      ]);
    });

    it('a link whose place is not in the books does not keep itself', () => {
      expect(steps({ backup: 'x' }, { backups: [astray('x', null), FULL], ...closed })).toEqual(['hide x', 'remove x']);
    });

    it('a full whose place is not in the books is kept by the incremental above it', () => {
      const placeless = { ...FULL, details: toDetails(keys({ position: null })) };
      expect(steps({ backup: 'full' }, { backups: [link('a', 1, 'full'), placeless], ...closed })).toEqual(['hide full']);
    });

    it('two that may each stand on the other go together, once neither is wanted', () => {
      const placeless = { ...FULL, status: 'Hidden' as const, details: toDetails(keys({ position: null })) };
      expect(steps({ backup: 'a' }, { backups: [link('a', 1, 'full'), placeless], ...closed })).toEqual([
        'hide a',
        'remove full',
        'remove a',
      ]);
    });
  });

  describe('what an operator is told when it is refused', () => {
    it('that somebody is at the backup', () => {
      expect(decide({ backup: 'b' }, { backups: with_('b', { status: 'Restoring' }) })).toEqual({
        kind: 'refused',
        code: 'deletion.busy',
        errorKind: 'busy',
        message: 'Backup b is Restoring: somebody is at it.',
        next: 'Wait for the run to end.',
      });
    });

    it('who protects the backup and why, without a date where there is none', () => {
      const protections = [{ backup: 'b', until: null, by: 'ops', why: 'court order' }];
      expect(decide({ backup: 'b' }, { protections })).toEqual({
        kind: 'refused',
        code: 'deletion.protected',
        errorKind: 'refused',
        message: 'Backup b is protected by ops: court order',
        next: 'Take the protection back first, if you may.',
      });
    });

    it('that nothing would be left', () => {
      expect(decide({ backup: 'full' }, { backups: [FULL] })).toEqual({
        kind: 'refused',
        code: 'deletion.last-point',
        errorKind: 'refused',
        message: 'Nothing that can be restored would be left of the VM.',
        next: ANOTHER_FIRST,
      });
    });

    it('what the best restore points are worth now and afterwards', () => {
      expect(decide({ backup: 'legacy' }, { backups: [legacy({ assurance: 'proven' }), ...CHAIN] })).toEqual({
        kind: 'refused',
        code: 'deletion.best-point',
        errorKind: 'refused',
        message: 'The best restore points of the VM would go: proven now, accounted afterwards.',
        next: ANOTHER_FIRST,
      });
    });
  });

  describe('which backups are restore points, and what they are worth', () => {
    const pointsOf = (...backups: BookedBackup[]): number => planned({ backup: 'gone' }, { backups }).pointsLeft;

    it('a legacy full is one', () => {
      expect(pointsOf(legacy())).toBe(1);
    });

    it('a legacy full is lost when it is deleted', () => {
      expect(planned({ backup: 'legacy' }, { backups: [legacy(), ...CHAIN] }).pointsLost).toEqual(['legacy']);
    });

    it('a legacy full is one while nobody has looked at its files', () => {
      expect(pointsOf(legacy({ files: 'unknown' }))).toBe(1);
    });

    it.each(['missing', 'damaged'] as const)('a legacy full whose files are %s is none', (files) => {
      expect(pointsOf(legacy({ files }))).toBe(0);
    });

    it('a failed attempt is none', () => {
      expect(pointsOf(legacy({ status: 'Error' }))).toBe(0);
    });

    it('an incremental in no chain is none', () => {
      expect(pointsOf(legacy({ type: 'INCREMENTAL' }))).toBe(0);
    });

    it('an unproven one is better than a broken one', () => {
      const backups = [legacy({ assurance: 'unproven' }), { ...FULL, assurance: 'broken' as const }];
      expect(refused({ backup: 'legacy' }, { backups })).toBe('deletion.best-point');
    });

    it('a legacy full that nobody has judged is unproven', () => {
      const backups = [legacy({ assurance: null }), { ...FULL, assurance: 'broken' as const }];
      expect(decide({ backup: 'legacy' }, { backups })).toMatchObject({
        message: 'The best restore points of the VM would go: unproven now, broken afterwards.',
      });
    });
  });
});
