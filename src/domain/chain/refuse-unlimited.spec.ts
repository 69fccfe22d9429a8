import { situation, stock, type Changes } from '../../../test/unit/chain/situation';
import { decideBackup } from './decide-backup';

const codeOf = (changes: Changes): unknown => {
  const decision = decideBackup(situation(changes));
  return decision.kind === 'refused' ? decision.code : null;
};

describe('refuseUnlimited', () => {
  it.each([
    ['its own', { transfer: 'push', bandwidth: 8 }, {}],
    ['that of the offering', { transfer: 'push' }, { bandwidth: 8 }],
    ['that of the repository', { transfer: 'push' }, { repositoryBandwidth: 8 }],
  ] as const)('refuses a call for push under a limit, %s', (_whose, request, policy) => {
    expect(codeOf({ request, policy })).toBe('backup.push-unlimited');
    expect(codeOf({ request: { ...request, transfer: 'auto' }, policy })).toBeNull();
    expect(codeOf({ request: { transfer: 'push' } })).toBeNull();
  });

  it('refuses a limit of a call that a stock script would not keep; one that was set is told instead', () => {
    const script = stock('final');
    expect(codeOf({ request: { bandwidth: 8 }, script })).toBe('backup.stock-unlimited');
    expect(codeOf({ policy: { bandwidth: 8 }, script })).toBeNull();
    expect(codeOf({ request: { transfer: 'push' }, policy: { bandwidth: 8 }, script })).toBeNull();
  });
});
