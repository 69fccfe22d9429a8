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
    { backups: CHAIN, activeCheckpointId: 'backup-3', protections: [], ...books },
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
    const legacy = full({ uuid: 'legacy', details: [], size: 5 });
    expect(steps({ backup: 'legacy' }, { backups: [legacy, ...CHAIN] })).toEqual(['hide legacy', 'remove legacy']);
    const failed = full({ uuid: 'failed', status: 'Error', details: [], size: 0 });
    expect(steps({ backup: 'failed' }, { backups: [failed, ...CHAIN] })).toEqual(['remove failed']);
  });

  it('what the books do not know is nothing to do: a second call finds it done', () => {
    expect(planned({ backup: 'gone' })).toEqual({
      ...{ kind: 'deletion', backup: 'gone', steps: [], pointsLost: [], pointsLeft: 4, bytesFreed: 0 },
    });
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
});
