import { disk, planOf } from '../../../test/unit/chain/situation';
import { errorPolicyWarnings } from './error-policy';

describe('the error policy of a disk', () => {
  it.each([null, 'stop', 'enospace'])('%s harms no guest that is resumed', (errorPolicy) => {
    expect(errorPolicyWarnings([disk('vda', { errorPolicy })])).toEqual([]);
  });

  it.each([
    ['report', /^error-policy: disk vdb has error_policy='report': it hands a write error to the guest, instead of stopping it/],
    ['ignore', /^error-policy: disk vdb has error_policy='ignore': .* the write is lost/],
  ])('%s is warned of, disk by disk, before anything begins', (errorPolicy, words) => {
    const { warnings } = planOf({ facts: { disks: [disk('vda'), disk('vdb', { errorPolicy })] } });
    expect(warnings).toEqual([expect.stringMatching(words)]);
  });
});
