import { forecastFulls, type RestartedVm } from './forecast-fulls';

const VM: RestartedVm = {
  ...{ vm: 'v', running: true, incrementals: true, hasCheckpoint: true, script: 'ours', looked: true, onLostBitmap: 'full' },
  ...{ fullSeconds: 600, dueInSeconds: 0 },
};
const PLACES = { atOnce: 2, of: 'the host' };

describe('forecastFulls', () => {
  it.each([
    [{}, true, false, /registered again/],
    [{}, false, true, /went down with the host/],
    [{ onLostBitmap: 'rescue' }, false, false, /compared with its chain/],
    [{ incrementals: false }, true, true, /no incrementals, restart or not/],
    [{ hasCheckpoint: false }, true, true, /restart or not/],
    [{ running: false }, true, true, /stopped/],
    [{ script: 'seed' }, true, true, /stock script \(seed\)/],
    [{ script: 'mid', looked: false }, true, true, /stock script \(mid\)/],
    [{ script: 'final' }, true, false, /registered again/],
    [{ script: 'final', looked: false }, true, true, /stock script \(final\)/],
    [{ script: 'final', onLostBitmap: 'rescue' }, false, true, /went down with the host/],
  ] as const)('%j, shut down before: %s; a full: %s', (different, clean, full, sentence) => {
    const { fulls, spared } = forecastFulls([{ ...VM, ...different }], clean, PLACES);
    expect([fulls.length, spared.length]).toEqual(full ? [1, 0] : [0, 1]);
    expect((fulls[0] ?? spared[0])?.sentence).toMatch(sentence);
  });

  const starts = (vms: readonly Partial<RestartedVm>[], atOnce = 2): unknown[] =>
    forecastFulls(
      vms.map((vm) => ({ ...VM, ...vm })),
      false,
      { ...PLACES, atOnce },
    ).fulls.map(({ inSeconds }) => inSeconds);

  it('has no more at once than there are places, and none before it is due', () => {
    expect(starts([{}, {}, {}, {}, {}])).toEqual([0, 0, 600, 600, 1200]);
    expect(starts([{ fullSeconds: 7200 }, {}, {}, {}])).toEqual([0, 0, 600, 1200]);
    expect(starts([{}, {}, {}], Infinity)).toEqual([0, 0, 0]);
    expect(starts([{ fullSeconds: null }, {}], 1)).toEqual([0, 3600]);
    expect(starts([{ dueInSeconds: 900 }, { dueInSeconds: 100 }, { dueInSeconds: 200 }], 1)).toEqual([100, 700, 1300]);
    expect(starts([{ dueInSeconds: 100 }, { dueInSeconds: 9000 }], 1)).toEqual([100, 9000]);
    // What nobody asks for takes no place, and comes last.
    expect(starts([{ dueInSeconds: null }, {}, {}], 1)).toEqual([0, 600, null]);
  });

  it('names them in the order in which they begin', () => {
    const vms = [300, null, 100].map((dueInSeconds) => ({ ...VM, dueInSeconds, vm: `due ${dueInSeconds}` }));
    expect(forecastFulls(vms, false, PLACES).fulls.map(({ vm }) => vm)).toEqual(['due 100', 'due 300', 'due null']);
  });

  it('says all of it in one sentence', () => {
    expect(forecastFulls([VM, VM, VM], false, PLACES).sentence).toBe(
      '3 of 3 VMs need a full: 2 at once at most (places of the host), and the last has ended after 1 h.',
    );
    const asked = { ...VM, dueInSeconds: null };
    expect(forecastFulls([VM, asked], false, PLACES).sentence).toBe(
      '2 of 2 VMs need a full: 2 at once at most (places of the host), and the last has ended after 1 h; 1 of them when somebody asks, for no schedule does.',
    );
    expect(forecastFulls([asked], false, PLACES).sentence).toBe(
      '1 of 1 VMs need a full; 1 of them when somebody asks, for no schedule does.',
    );
    expect(forecastFulls([VM], true, PLACES).sentence).toBe('0 of 1 VMs need a full.');
    expect(forecastFulls([], true, PLACES).sentence).toBe('0 of 0 VMs need a full.');
  });
});
