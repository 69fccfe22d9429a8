import { tellProgress } from './tell-progress';

const tell = (before: number, done: number, total: number | null = 100, goneOnMs = 60_000): string | null =>
  tellProgress(before, { done, total }, goneOnMs)?.code ?? null;

describe('tellProgress', () => {
  it('tells of each quarter once, of the last one that was passed', () => {
    const looks = [0, 24, 25, 26, 49, 50, 74, 75, 99];
    expect(looks.map((done, index) => tell(looks[index - 1] ?? 0, done))).toEqual([
      ...[null, null, 'quarter', null, null, 'half', null, 'three-quarters', null],
    ]);
    expect([tell(0, 60), tell(0, 99), tell(30, 80)]).toEqual(['half', 'three-quarters', 'three-quarters']);
    expect(tellProgress(0, { done: 60, total: 100 }, 60_000)?.sentence).toBe('60 of 100 bytes are done.');
  });

  it('tells nothing of what is done, of what nobody knows the size of, and in the first minute', () => {
    expect([tell(0, 100), tell(0, 120), tell(0, 50, null), tell(0, 50, 0), tell(0, 50, 100, 59_999)]).toEqual(
      Array(5).fill(null),
    );
  });
});
