import { activeCheckpointAfter, type CheckpointEvent } from './active-checkpoint';

describe('activeCheckpointAfter', () => {
  it.each<CheckpointEvent>([
    { what: 'offering-assigned' },
    { what: 'offering-removed' },
    { what: 'vm-restored' },
    { what: 'volume-restored' },
    { what: 'backup-deleted', bitmap: 'backup-1' },
  ])('is cleared by %j', (event) => expect(activeCheckpointAfter('backup-1', event)).toBeNull());

  it('outlives the deletion of another backup', () => {
    expect(activeCheckpointAfter('backup-1', { what: 'backup-deleted', bitmap: 'backup-2' })).toBe('backup-1');
    expect(activeCheckpointAfter('backup-1', { what: 'backup-deleted', bitmap: null })).toBe('backup-1');
  });

  it('stays none', () => {
    expect(activeCheckpointAfter(null, { what: 'vm-restored' })).toBeNull();
    expect(activeCheckpointAfter(null, { what: 'backup-deleted', bitmap: null })).toBeNull();
  });
});
