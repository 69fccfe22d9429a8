import { incrementalPlan, planOf } from '../../../test/unit/chain/situation';
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

  it.each([
    ['nobody said', {}, null, null, 'pull', 'limit', []],
    ['the offering said push', {}, 'push', 'auto', 'pull', 'limit', ['the offering says so']],
    ['the repository said push', {}, null, 'push', 'pull', 'limit', ['the repository says so']],
    ['the offering leaves it to the host', {}, 'auto', 'push', 'auto', 'offering', []],
    ['the call said pull', { transfer: 'pull' }, 'push', null, 'pull', 'call', []],
  ] as const)(
    'goes by no push under a limit: %s',
    (_what, request, transfer, repositoryTransfer, planned, transferFrom, warned) => {
      const policy = { transfer, repositoryTransfer, repositoryBandwidth: 8 };
      const plan = incrementalPlan({ request, policy });
      expect(plan).toMatchObject({ transfer: planned, transferFrom, bandwidth: 8 });
      expect(plan.warnings).toEqual(
        warned.map(
          (who) =>
            `limit: it goes by pull although it was to go by push (${who}): a push cannot keep the limit of 8 MiB a second`,
        ),
      );
    },
  );

  it('has nothing to warn of where the VM is stopped: its disks are copied within the limit', () => {
    const policy = { transfer: 'push', repositoryBandwidth: 8 } as const;
    expect(planOf({ policy, facts: { vm: { state: 'shut off' } } })).toMatchObject({ bandwidth: 8, warnings: [] });
  });
});
