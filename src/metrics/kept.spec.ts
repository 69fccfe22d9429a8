import { Kept } from './kept';

describe('Kept', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  let made = 0;
  let end: (error?: Error) => void;
  const kept = (): Kept<number> => {
    made = 0;
    return new Kept(1000, () => new Promise((well, badly) => (end = (error) => (error ? badly(error) : well((made += 1))))));
  };

  it('makes it once for all who ask, and again when it is too old; who asks meanwhile gets the old one', async () => {
    const one = kept();
    const first = [one.get(), one.get()];
    end();
    expect(await Promise.all(first)).toEqual([1, 1]);
    jest.advanceTimersByTime(1000);
    expect(await one.get()).toBe(1);
    jest.advanceTimersByTime(1);
    expect(await Promise.all([one.get(), one.get()])).toEqual([1, 1]);
    end();
    await Promise.resolve();
    expect(await one.get()).toBe(2);
  });

  it('waits for a new one where the old one is twice too old', async () => {
    const one = kept();
    const first = one.get();
    end();
    await first;
    jest.advanceTimersByTime(2001);
    const second = one.get();
    end();
    expect(await second).toBe(2);
  });

  it('keeps no failure', async () => {
    const one = kept();
    const failing = one.get();
    end(new Error('away'));
    await expect(failing).rejects.toThrow('away');
    const next = one.get();
    end();
    expect(await next).toBe(1);
  });
});
