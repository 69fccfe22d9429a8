import { DEFAULT_POLICY, readPolicy, toSettings } from './offering-policy';

describe('offering policy', () => {
  it.each([
    [1, true],
    [2, false],
    [1000, true],
  ])('comes back as it was written: every %s, enabled %s', (fullEvery, incrementalEnabled) => {
    expect(readPolicy(toSettings({ fullEvery, incrementalEnabled }))).toEqual({ fullEvery, incrementalEnabled });
  });

  it('has defaults for what is missing or malformed, and believes the last of duplicates', () => {
    expect(readPolicy([])).toEqual(DEFAULT_POLICY);
    const rows = [
      { name: 'nas.backup.full.every', value: '0' },
      { name: 'nas.backup.incremental.enabled', value: 'yes' },
    ];
    expect(readPolicy(rows)).toEqual(DEFAULT_POLICY);
    expect(readPolicy([...toSettings({ fullEvery: 3 }), ...toSettings({ fullEvery: 4 })]).fullEvery).toBe(4);
  });
});
