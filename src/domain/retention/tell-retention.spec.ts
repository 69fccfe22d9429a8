import type { RetentionPlan } from './plan-retention';
import { tellRetention } from './tell-retention';

const NONE: RetentionPlan = { kind: 'retention', lines: [], steps: [], bytesFreed: 0, pointsLeft: 0 };

describe('tellRetention', () => {
  it('says what goes, and for how many of the others there is which reason', () => {
    const lines: RetentionPlan['lines'] = [
      { backup: 'e', restorable: true, fate: 'stays', why: 'keep last' },
      { backup: 'd', restorable: true, fate: 'stays', why: 'keep daily' },
      { backup: 'c', restorable: true, fate: 'hidden', why: 'no rule keeps it; links that stay stand on it' },
      { backup: 'b', restorable: true, fate: 'stays', why: 'keep daily' },
      { backup: 'a', restorable: true, fate: 'removed', why: 'no rule keeps it' },
    ];
    expect(tellRetention({ ...NONE, lines, bytesFreed: 7 })).toEqual({
      sentence: '2 of 5 restore points go, which frees 7 bytes; 3 stay: keep last (1), keep daily (2).',
      facts: {
        removed: ['a'],
        hidden: ['c'],
        stay: [
          { why: 'keep last', count: 1 },
          { why: 'keep daily', count: 2 },
        ],
        bytesFreed: 7,
      },
    });
  });

  it('counts no restore points where some of the backups are none', () => {
    const lines: RetentionPlan['lines'] = [
      { backup: 'b', restorable: true, fate: 'stays', why: 'keep last' },
      { backup: 'a', restorable: false, fate: 'removed', why: 'no rule keeps it; cannot be restored: its files are damaged' },
    ];
    expect(tellRetention({ ...NONE, lines }).sentence).toBe(
      '1 of 2 backups, some of which cannot be restored, go, which frees 0 bytes; 1 stay: keep last (1).',
    );
  });

  it('says so when there is nothing', () => {
    expect(tellRetention(NONE).sentence).toBe('0 of 0 restore points go, which frees 0 bytes; 0 stay.');
  });
});
