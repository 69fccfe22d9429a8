import { cut } from './page';

describe('cut', () => {
  const idOf = (id: number): number => id;

  it.each([
    [[], { items: [], next: null }],
    [[3], { items: [3], next: null }],
    [[3, 2], { items: [3, 2], next: null }],
    [[3, 2, 1], { items: [3, 2], next: 2 }],
  ])('cuts %p at 2', (rows, part) => {
    expect(cut(rows, 2, idOf)).toEqual(part);
  });
});
