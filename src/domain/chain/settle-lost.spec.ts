import { answer, incrementalPlan, ran } from '../../../test/unit/chain/situation';
import { settleBackup } from './settle-backup';
import type { UnknownOutcome } from './settlement';
import { settleLost } from './settle-lost';

describe('a run whose script is gone without a word', () => {
  const plan = incrementalPlan();
  const unknown = settleBackup(plan, answer({ exitCode: null, result: false }), ran(plan)) as UnknownOutcome;

  it('has failed, and the parent goes on', () => {
    expect(settleLost(plan, unknown, { left: [], discarded: true })).toEqual({
      ...{ outcome: 'failed', status: 'Error', code: 'outcome-lost', retry: null, findings: [] },
      ...{ activeCheckpoint: { change: 'unchanged' }, retire: [plan.bitmapNew] },
      sentence: 'The host script ended without leaving an exit code; what it had begun was discarded.',
    });
  });

  it.each([
    [[], true, /; what it had begun was discarded\.$/],
    [[], false, new RegExp(`; what it had begun is still at ${plan.backupPath} on the NAS, and the sweep tries again`)],
    [['a', 'b'], true, /was discarded; on the host this could not be put back: a; b\.$/],
    [['a'], false, /is still at .*; on the host this could not be put back: a\.$/],
  ])('says what became of it: left %j, discarded %j', (left, discarded, sentence) => {
    expect(settleLost(plan, unknown, { left, discarded }).sentence).toMatch(sentence);
  });

  it('ends the chain where it was a stock script, and nothing is put back', () => {
    const settled = settleLost(plan, unknown, null);
    expect(settled).toMatchObject({ code: 'outcome-lost', status: 'Error', activeCheckpoint: { change: 'cleared' }, retire: [] });
    expect(settled.sentence).toMatch(/^The stock script is gone/);
  });
});
