import { bytes, progressBar, table } from './output';

describe('output for people', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [5 * 1024 ** 3, '5.0 GiB'],
    [null, '-'],
  ])('%s bytes', (value, text) => expect(bytes(value)).toBe(text));

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
