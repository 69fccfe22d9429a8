import { DEFAULT_POLICY, readPolicy, toSettings } from './offering-policy';

const NO_FULL = { fullWeekday: null, fullEveryDays: null, fullZone: 'UTC' } as const;

describe('offering policy', () => {
  it.each([
    {
      fullEvery: 1,
      incrementalEnabled: true,
      transfer: null,
      bandwidth: null,
      onLostBitmap: 'full',
      afterRecreation: 'next',
      ...NO_FULL,
    },
    {
      fullEvery: 1,
      incrementalEnabled: true,
      transfer: 'push',
      bandwidth: null,
      onLostBitmap: 'rescue',
      afterRecreation: 'next',
      ...NO_FULL,
    },
    { ...DEFAULT_POLICY, fullWeekday: 'sun', fullEveryDays: 30, fullZone: 'Europe/Rome' },
    {
      fullEvery: 2,
      incrementalEnabled: false,
      transfer: 'pull',
      bandwidth: 1,
      onLostBitmap: 'full',
      afterRecreation: 'at-once',
      ...NO_FULL,
    },
    {
      fullEvery: 1000,
      incrementalEnabled: true,
      transfer: 'auto',
      bandwidth: 999_999,
      onLostBitmap: 'rescue',
      afterRecreation: 'at-once',
      ...NO_FULL,
    },
  ] as const)('comes back as it was written: %j', (policy) => {
    expect(readPolicy(toSettings(policy))).toEqual(policy);
  });

  it('has defaults for what is missing or malformed, and believes the last of duplicates', () => {
    expect(readPolicy([])).toEqual(DEFAULT_POLICY);
    const rows = [
      { name: 'nas.backup.full.every', value: '0' },
      { name: 'nas.backup.incremental.enabled', value: 'yes' },
      { name: 'ck.backup.transfer', value: 'pigeon' },
      { name: 'ck.backup.bandwidth', value: '1000000' },
      { name: 'ck.backup.on_lost_bitmap', value: 'pray' },
      { name: 'ck.backup.after_recreation', value: 'never' },
      { name: 'ck.backup.full_weekday', value: 'sunday' },
      { name: 'ck.backup.full_every_days', value: '0' },
      { name: 'ck.backup.full_zone', value: 'Moon/Base' },
    ];
    expect(readPolicy(rows)).toEqual(DEFAULT_POLICY);
    expect(readPolicy([...toSettings({ transfer: 'pull' }), ...toSettings({ transfer: null })]).transfer).toBeNull();
    expect(readPolicy([...toSettings({ bandwidth: 7 }), ...toSettings({ bandwidth: null })]).bandwidth).toBeNull();
    expect(readPolicy([...toSettings({ fullEvery: 3 }), ...toSettings({ fullEvery: 4 })]).fullEvery).toBe(4);
  });
});
