import { incrementalPlan } from '../../../test/unit/chain/situation';
import { chooseTransfer } from './choose-transfer';

describe('chooseTransfer', () => {
  it.each([
    ['the call before all', 'auto', 'push', 'pull', 'auto', 'call'],
    ['the call, also for the default', 'push', 'pull', 'pull', 'push', 'call'],
    ['the offering before the repository', undefined, 'push', 'pull', 'push', 'offering'],
    ['the repository where nobody else says', undefined, null, 'pull', 'pull', 'repository'],
    ['push where nobody says at all', undefined, null, null, 'push', 'default'],
  ] as const)('goes by %s', (_what, call, offering, repository, transfer, transferFrom) => {
    const request = call === undefined ? {} : { transfer: call };
    const policy = { transfer: offering, repositoryTransfer: repository };
    expect(chooseTransfer(request, policy)).toEqual({ transfer, transferFrom });
    expect(incrementalPlan({ request, policy })).toMatchObject({ transfer, transferFrom });
  });
});
