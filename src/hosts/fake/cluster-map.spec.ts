import fc from 'fast-check';
import { CLUSTER, ClusterMap } from './cluster-map';
import { FakeNas } from './fake-nas';

const CLUSTERS = 4;
const SIZE = CLUSTERS * CLUSTER;

interface Change {
  readonly kind: 'fill' | 'zero' | 'discard';
  readonly value: number;
  readonly offset: number;
  readonly length: number;
}
const change: fc.Arbitrary<Change> = fc
  .record({
    kind: fc.constantFrom('fill' as const, 'zero' as const, 'discard' as const),
    value: fc.integer({ min: 1, max: 255 }),
    from: fc.integer({ min: 0, max: SIZE - 1 }),
    to: fc.integer({ min: 1, max: SIZE }),
  })
  .map(({ kind, value, from, to }) => {
    const unit = kind === 'discard' ? CLUSTER : 1;
    const offset = Math.floor(Math.min(from, to - 1) / unit) * unit;
    return { kind, value, offset, length: Math.ceil((Math.max(from + 1, to) - offset) / unit) * unit };
  });

/** The same change to plain bytes: the oracle. */
const apply = (bytes: Uint8Array, { kind, value, offset, length }: Change): Uint8Array =>
  bytes.fill(kind === 'fill' ? value : 0, offset, offset + length);
const act = (map: ClusterMap, { kind, value, offset, length }: Change): number[] =>
  kind === 'fill' ? map.fill(value, offset, length) : map[kind](offset, length);

describe('ClusterMap and FakeNas', () => {
  test('a full and deltas of what was touched flatten to the plain bytes; one wrong byte is seen', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(change, { maxLength: 4 }), { minLength: 1, maxLength: 4 }),
        fc.nat(SIZE - 1),
        (rounds, at) => {
          const disk = new ClusterMap(SIZE);
          const plain = new Uint8Array(SIZE);
          const nas = new FakeNas('/nas', 1e9);
          rounds.forEach((changes, round) => {
            const dirty = new Set(changes.flatMap((one) => (apply(plain, one), act(disk, one))));
            const own = new ClusterMap(
              SIZE,
              [...dirty].map((index) => [index, disk.get(index) ?? null] as const),
            );
            nas.put(`vm/${round}/root`, round === 0 ? disk.copy() : own, round === 0 ? null : `../${round - 1}/root`);
          });
          const last = `vm/${rounds.length - 1}/root`;
          expect(Buffer.compare(nas.flatten(last), plain)).toBe(0);
          expect(nas.holds(last, disk)).toBe(true);
          disk.fill((plain[at] ?? 0) ^ 1, at, 1);
          expect(nas.holds(last, disk)).toBe(false);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a zero cluster hides what lies below; an absent one does not', () => {
    const nas = new FakeNas('/nas', 1e9);
    const below = new ClusterMap(2 * CLUSTER);
    below.fill(7, 0, 2 * CLUSTER);
    nas.put('a/1/f', below);
    nas.put('a/2/f', new ClusterMap(2 * CLUSTER, [[0, null]]), '../1/f');
    const flat = nas.flatten('a/2/f');
    expect([flat[0], flat[CLUSTER]]).toEqual([0, 7]);
  });

  test('another size, a missing parent, a circle: no restore point', () => {
    const nas = new FakeNas('/nas', 1e9);
    nas.put('a/1/f', new ClusterMap(CLUSTER));
    expect(nas.holds('a/1/f', new ClusterMap(2 * CLUSTER))).toBe(false);
    nas.put('a/2/f', new ClusterMap(CLUSTER), '../none/f');
    nas.put('a/3/f', new ClusterMap(CLUSTER), 'f');
    for (const path of ['a/2/f', 'a/3/f', 'a/4/f']) expect(() => nas.flatten(path)).toThrow(/broken/);
  });

  test('what does not fit is not written', () => {
    const nas = new FakeNas('/nas', 4 * CLUSTER);
    const disk = new ClusterMap(8 * CLUSTER);
    disk.fill(1, 0, 2 * CLUSTER);
    expect(() => nas.put('a/1/f', disk)).toThrow(/No space left/);
    expect([nas.files.size, nas.free]).toEqual([0, 4 * CLUSTER]);
  });

  test('a range outside is an error, and a copy does not follow its original', () => {
    const map = new ClusterMap(CLUSTER);
    expect(() => map.fill(1, CLUSTER - 1, 2)).toThrow(RangeError);
    const copy = map.copy();
    map.fill(9, 0, 1);
    expect(copy.get(0)).toBeUndefined();
  });
});
