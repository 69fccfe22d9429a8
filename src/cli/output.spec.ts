import { age, bytes, progressBar, table } from './output';

describe('output for people', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [5 * 1024 ** 3, '5.0 GiB'],
    [null, '-'],
  ])('%s bytes', (value, text) => expect(bytes(value)).toBe(text));

  it.each([
    ['2026-01-01T00:00:00Z', '0 s'],
    ['2025-12-31T23:58:01Z', '119 s'],
    ['2025-12-31T23:58:00Z', '2 min'],
    ['2025-12-31T22:00:00Z', '2 h'],
    ['2025-12-29T23:00:00Z', '2 d'],
    // A host's clock may be ahead of ours.
    ['2026-01-01T00:01:00Z', '0 s'],
  ])('age of %s', (since, text) => expect(age(since, Date.parse('2026-01-01T00:00:00Z'))).toBe(text));

  it('draws progress, and says how much where there is no total', () => {
    expect(progressBar(512, 1024, 4)).toBe('[##..] 50 % of 1.0 KiB');
    expect(progressBar(512, null)).toBe('512 B so far');
    expect(progressBar(2048, 1024, 4)).toBe('[####] 100 % of 1.0 KiB');
  });

  it('aligns columns', () => {
    const rows = [
      { name: 'a', size: 5 },
      { name: 'long', size: null },
    ];
    expect(
      table(rows, [
        { title: 'NAME', of: (row) => row.name },
        { title: 'SIZE', of: (row) => row.size, right: true },
      ]),
    ).toBe('NAME  SIZE\na        5\nlong     -');
  });
});
