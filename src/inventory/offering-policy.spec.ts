import { DEFAULT_POLICY, readPolicy, toSettings } from './offering-policy';

describe('offering policy', () => {
  it.each([
    { fullEvery: 1, incrementalEnabled: true, transfer: null, onLostBitmap: 'full', afterRecreation: 'next' },
    { fullEvery: 1, incrementalEnabled: true, transfer: 'push', onLostBitmap: 'rescue', afterRecreation: 'next' },
    { fullEvery: 2, incrementalEnabled: false, transfer: 'pull', onLostBitmap: 'full', afterRecreation: 'at-once' },
    { fullEvery: 1000, incrementalEnabled: true, transfer: 'auto', onLostBitmap: 'rescue', afterRecreation: 'at-once' },
  ] as const)('comes back as it was written: %j', (policy) => {
    expect(readPolicy(toSettings(policy))).toEqual(policy);
  });

  it('has defaults for what is missing or malformed, and believes the last of duplicates', () => {
    expect(readPolicy([])).toEqual(DEFAULT_POLICY);
    const rows = [
      { name: 'nas.backup.full.every', value: '0' },
      { name: 'nas.backup.incremental.enabled', value: 'yes' },
      { name: 'ck.backup.transfer', value: 'pigeon' },
      { name: 'ck.backup.on_lost_bitmap', value: 'pray' },
      { name: 'ck.backup.after_recreation', value: 'never' },
    ];
    expect(readPolicy(rows)).toEqual(DEFAULT_POLICY);
    expect(readPolicy([...toSettings({ transfer: 'pull' }), ...toSettings({ transfer: null })]).transfer).toBeNull();
    expect(readPolicy([...toSettings({ fullEvery: 3 }), ...toSettings({ fullEvery: 4 })]).fullEvery).toBe(4);
  });
});
