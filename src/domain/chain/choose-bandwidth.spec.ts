import { incrementalPlan, stock } from '../../../test/unit/chain/situation';
import { chooseBandwidth } from './choose-bandwidth';

describe('chooseBandwidth', () => {
  it.each([
    ['the call, be it more', 90, 10, 20, 90, 'call'],
    ['the call, be it less', 5, 10, null, 5, 'call'],
    ['the offering where it is the smaller', undefined, 10, 20, 10, 'offering'],
    ['the repository where it is the smaller', undefined, 20, 10, 10, 'repository'],
    ['the offering where they agree', undefined, 10, 10, 10, 'offering'],
    ['the offering alone', undefined, 10, null, 10, 'offering'],
    ['the repository alone', undefined, null, 10, 10, 'repository'],
    ['nobody', undefined, null, null, null, null],
  ] as const)('goes by %s', (_what, call, offering, repository, bandwidth, bandwidthFrom) => {
    const request = call === undefined ? {} : { bandwidth: call };
    const policy = { transfer: null, bandwidth: offering, repositoryBandwidth: repository };
    expect(chooseBandwidth(request, policy)).toEqual({ bandwidth, bandwidthFrom });
    expect(incrementalPlan({ request, policy })).toMatchObject({ bandwidth, bandwidthFrom, warnings: [] });
  });

  it('plans no limit for a stock script, which knows none, and says so', () => {
    const policy = { repositoryBandwidth: 10, acceptUnprovenParent: true };
    const plan = incrementalPlan({ policy, script: stock('final') });
    expect(plan).toMatchObject({ bandwidth: null, bandwidthFrom: null, transfer: 'push' });
    expect(plan.warnings).toEqual([expect.stringMatching(/^limit: 10 MiB a second are not kept \(the repository says so\)/)]);
    expect(incrementalPlan({ policy: { ...policy, repositoryBandwidth: null }, script: stock('final') }).warnings).toEqual([]);
  });
});
