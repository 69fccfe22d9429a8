import { forecastSpace, type SpaceKnown } from './forecast-space';

const DAY = 86_400;
const NOW = 1_800_000_000;
const known = (over: Partial<SpaceKnown> = {}): SpaceKnown => ({
  ...{ usedBytes: 600, capacityBytes: 1000, grownBytes: 300, since: NOW - 90 * DAY, now: NOW, warnPercent: 85 },
  ...over,
});

describe('forecastSpace', () => {
  it('goes on as the last thirty days went', () => {
    expect(forecastSpace(known())).toEqual({ growthPerDay: 10, fullOn: NOW + 40 * DAY, warning: null });
  });

  it('divides by the days that there were, and guesses nothing from less than one', () => {
    expect(forecastSpace(known({ since: NOW - 3 * DAY }))).toMatchObject({ growthPerDay: 100, fullOn: NOW + 4 * DAY });
    expect(forecastSpace(known({ since: NOW - DAY }))).toMatchObject({ growthPerDay: 300 });
    expect(forecastSpace(known({ since: NOW - DAY + 1 }))).toMatchObject({ growthPerDay: null, fullOn: null });
    expect(forecastSpace(known({ since: null, grownBytes: 0 }))).toMatchObject({ growthPerDay: null, fullOn: null });
  });

  it('is never full where it shrinks, stays or grows by next to nothing, and is full now where it is', () => {
    for (const grownBytes of [-300, 0]) expect(forecastSpace(known({ grownBytes })).fullOn).toBeNull();
    expect(forecastSpace(known({ grownBytes: 30, capacityBytes: 600 + 36_501 })).fullOn).toBeNull();
    expect(forecastSpace(known({ grownBytes: 30, capacityBytes: 600 + 36_499 })).fullOn).toBe(NOW + 36_499 * DAY);
    expect(forecastSpace(known({ usedBytes: 1000 })).fullOn).toBe(NOW);
    expect(forecastSpace(known({ usedBytes: 1100 })).fullOn).toBe(NOW);
  });

  it('warns from the threshold on, and never of what nobody has looked at', () => {
    expect(forecastSpace(known({ usedBytes: 849 })).warning).toBeNull();
    expect(forecastSpace(known({ usedBytes: 850 })).warning).toBe('85 % of it are in use, and from 85 % on that is told');
    expect(forecastSpace(known({ usedBytes: 0, capacityBytes: 0 })).warning).toContain('100 %');
    expect(forecastSpace(known({ usedBytes: null }))).toEqual({ growthPerDay: 10, fullOn: null, warning: null });
    expect(forecastSpace(known({ capacityBytes: null })).warning).toBeNull();
  });
});
