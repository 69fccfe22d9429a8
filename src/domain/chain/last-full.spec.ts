import { full, parent, T0 } from '../../../test/unit/chain/situation';
import { lastFull } from './last-full';

describe('lastFull', () => {
  it('is when the newest full was taken, though a policy may have hidden it since', () => {
    const old = full({ uuid: 'old', date: T0 - 1000 });
    expect(lastFull([parent({ date: T0 + 9 }), full({ date: T0, status: 'Hidden' }), old])).toBe(T0);
    expect(lastFull([full({ date: T0, status: 'Error' }), full({ date: null }), old])).toBe(T0 - 1000);
    expect(lastFull([parent()])).toBeNull();
  });
});
