import { forecastFulls, type RestartedVm } from './forecast-fulls';

const VM: RestartedVm = {
  ...{ vm: 'v', running: true, hasCheckpoint: true, script: 'ours', looked: true, onLostBitmap: 'full', fullSeconds: 600 },
};
const POLICY = { atOnce: 2, perHour: 100 };

describe('forecastFulls', () => {
  it.each([
    [{}, true, false, /registered again/],
    [{}, false, true, /went down with the host/],
    [{ onLostBitmap: 'rescue' }, false, false, /compared with its chain/],
    [{ hasCheckpoint: false }, true, true, /restart or not/],
    [{ running: false }, true, true, /stopped/],
    [{ script: 'seed' }, true, true, /stock script \(seed\)/],
    [{ script: 'mid', looked: false }, true, true, /stock script \(mid\)/],
    [{ script: 'final' }, true, false, /registered again/],
    [{ script: 'final', looked: false }, true, true, /stock script \(final\)/],
    [{ script: 'final', onLostBitmap: 'rescue' }, false, true, /went down with the host/],
  ] as const)('%j, shut down before: %s; a full: %s', (different, clean, full, sentence) => {
    const { fulls, spared } = forecastFulls([{ ...VM, ...different }], clean, POLICY);
    expect([fulls.length, spared.length]).toEqual(full ? [1, 0] : [0, 1]);
    expect((fulls[0] ?? spared[0])?.sentence).toMatch(sentence);
  });

  const starts = (vms: readonly RestartedVm[], policy = POLICY): number[] =>
    forecastFulls(vms, false, policy).fulls.map(({ inSeconds }) => inSeconds);

  it('has no more at once than it may, and no more in an hour', () => {
    expect(starts([VM, VM, VM, VM, VM])).toEqual([0, 0, 600, 600, 1200]);
    expect(starts([{ ...VM, fullSeconds: 7200 }, VM, VM, VM])).toEqual([0, 0, 600, 1200]);
    expect(starts([VM, VM, VM, VM, VM], { atOnce: 9, perHour: 2 })).toEqual([0, 0, 3600, 3600, 7200]);
    expect(starts([{ ...VM, fullSeconds: null }, VM], { atOnce: 1, perHour: 9 })).toEqual([0, 3600]);
    // Nonsense is one at a time, and no endless wait.
    expect(starts([VM, VM], { atOnce: 0, perHour: 0 })).toEqual([0, 3600]);
  });

  it('says all of it in one sentence', () => {
    expect(forecastFulls([VM, VM, VM], false, POLICY).sentence).toBe(
      '3 of 3 VMs need a full: at most 2 at once and 100 an hour, so the last has ended after 1 h.',
    );
    expect(forecastFulls([VM], true, POLICY).sentence).toBe('0 of 1 VMs need a full.');
    expect(forecastFulls([], true, POLICY).sentence).toBe('0 of 0 VMs need a full.');
  });
});
