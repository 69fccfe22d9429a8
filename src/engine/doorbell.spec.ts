import { Doorbell } from './doorbell';

describe('the doorbell', () => {
  const LONG = 60_000;
  const within = async (work: Promise<unknown>): Promise<number> => {
    const begun = performance.now();
    await work;
    return performance.now() - begun;
  };
  const state = async (call: Promise<boolean>): Promise<boolean | 'waits'> =>
    Promise.race([call, new Promise<'waits'>((go) => setImmediate(() => go('waits')))]);

  it('rests for as long as it is told when nobody rings', async () => {
    expect(await within(new Doorbell().rest(60))).toBeGreaterThan(55);
  });

  it('ends a rest when it rings, and the next one when it rang in between; but never looks without a pause', async () => {
    const bell = new Doorbell();
    setTimeout(() => bell.ring(), 30);
    expect(await within(bell.rest(LONG))).toBeLessThan(1_000);
    bell.ring();
    bell.ring();
    const short = await within(bell.rest(LONG));
    expect(short).toBeLessThan(1_000);
    expect(short).toBeGreaterThan(15);
    expect(await within(bell.rest(60))).toBeGreaterThan(55);
  });

  it('answers a caller when a look is over that began after the call, and no earlier', async () => {
    const bell = new Doorbell();
    await bell.rest(0);
    // The look has begun, and what was written since it may have missed.
    const call = bell.call();
    bell.looked();
    expect(await state(call)).toBe('waits');
    await bell.rest(LONG);
    expect(await state(call)).toBe('waits');
    bell.looked();
    expect(await state(call)).toBe(true);
  });

  it('keeps a caller over rests without a look', async () => {
    const bell = new Doorbell();
    const call = bell.call();
    await bell.rest(LONG);
    await bell.rest(0);
    expect(await state(call)).toBe('waits');
    bell.looked();
    expect(await state(call)).toBe(true);
  });

  it('tells every caller that nobody looks any more, ends the rest, and rests no more', async () => {
    const bell = new Doorbell();
    const early = bell.call();
    await bell.rest(LONG);
    const late = bell.call();
    const resting = bell.rest(LONG);
    setTimeout(() => bell.close(), 50);
    expect(await within(resting)).toBeLessThan(1_000);
    expect([await early, await late, await bell.call()]).toEqual([false, false, false]);
    expect(await within(bell.rest(LONG))).toBeLessThan(1_000);
  });
});
