import { DEFAULT_POLICY, readPolicy, toSettings } from './offering-policy';

describe('offering policy', () => {
  it.each([
    [1, true, 'push'],
    [2, false, 'pull'],
    [1000, true, 'auto'],
  ] as const)('comes back as it was written: every %s, enabled %s, by %s', (fullEvery, incrementalEnabled, transfer) => {
    const policy = { fullEvery, incrementalEnabled, transfer };
    expect(readPolicy(toSettings(policy))).toEqual(policy);
  });

  it('has defaults for what is missing or malformed, and believes the last of duplicates', () => {
    expect(readPolicy([])).toEqual(DEFAULT_POLICY);
    const rows = [
      { name: 'nas.backup.full.every', value: '0' },
      { name: 'nas.backup.incremental.enabled', value: 'yes' },
      { name: 'ck.backup.transfer', value: 'pigeon' },
    ];
    expect(readPolicy(rows)).toEqual(DEFAULT_POLICY);
    expect(readPolicy([...toSettings({ fullEvery: 3 }), ...toSettings({ fullEvery: 4 })]).fullEvery).toBe(4);
  });
});
