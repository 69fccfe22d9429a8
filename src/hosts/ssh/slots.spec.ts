import { Slots } from './slots';

describe('Slots', () => {
  test('as many at once as there are, the rest in the order they came', async () => {
    const slots = new Slots(2);
    const order: number[] = [];
    let running = 0;
    let most = 0;
    const work = async (n: number): Promise<void> => {
      const release = await slots.take(1000);
      order.push(n);
      most = Math.max(most, (running += 1));
      await new Promise((done) => setTimeout(done, 5));
      running -= 1;
      release?.();
    };
    await Promise.all([0, 1, 2, 3, 4, 5].map(work));
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    expect(most).toBe(2);
  });

  test('who has waited long enough goes away and takes nothing with him', async () => {
    const slots = new Slots(1);
    const release = await slots.take(0);
    expect(await slots.take(5)).toBeNull();
    const waiting = slots.take(1000);
    release?.();
    const next = await waiting;
    expect(next).not.toBeNull();
    release?.(); // a second release must not hand out the slot that another holds
    expect(await slots.take(5)).toBeNull();
    next?.();
    expect(await slots.take(5)).not.toBeNull();
  });
});
