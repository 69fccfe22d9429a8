import { jitterOf } from './jitter-of';

describe('jitterOf', () => {
  // Another hash would move the load of all who have it.
  it.each([
    ['daily', 'i-2-10-VM', 3600, 1928],
    ['daily', 'i-2-11-VM', 3600, 1021],
    ['hourly', 'i-2-10-VM', 3600, 2924],
  ])('is what it always was: %s, %s', (schedule, vm, most, seconds) => {
    expect(jitterOf(schedule, vm, most)).toBe(seconds);
  });

  it('is 0 where none is wanted', () => {
    expect(jitterOf('daily', 'i-2-10-VM', 0)).toBe(0);
  });
});
