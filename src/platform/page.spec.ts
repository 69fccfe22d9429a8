import { fromCursor, toCursor } from './page';

describe('cursor', () => {
  it('comes back as the id it was made of', () => {
    expect(fromCursor(toCursor(42))).toBe(42);
    expect(fromCursor(undefined)).toBeUndefined();
  });

  it.each(['', 'x', 'aWQ6eA', Buffer.from('id:1;drop').toString('base64url')])('refuses %j', (cursor) => {
    expect(() => fromCursor(cursor)).toThrow(expect.objectContaining({ code: 'request.cursor' }));
  });
});
