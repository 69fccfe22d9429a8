/** Bytes that one cluster, and one bit of a bitmap, stands for: qcow2's default. */
export const CLUSTER = 65_536;

/** What one layer says of a cluster: its bytes, or null for zeroes. Absent: the layer below decides. */
export type Cluster = Uint8Array | null;

/**
 * What one image file holds by itself, cluster by cluster. Clusters are replaced, never changed in place, so copies may
 * share them: a snapshot of a disk costs next to nothing.
 */
export class ClusterMap {
  readonly #clusters: Map<number, Cluster>;
  #size: number;

  constructor(size: number, clusters: Iterable<readonly [number, Cluster]> = []) {
    this.#size = size;
    this.#clusters = new Map(clusters);
  }

  /** Virtual size in bytes. */
  get size(): number {
    return this.#size;
  }

  get(index: number): Cluster | undefined {
    return this.#clusters.get(index);
  }

  set(index: number, cluster: Cluster): void {
    this.#clusters.set(index, cluster);
  }

  entries(): IterableIterator<[number, Cluster]> {
    return this.#clusters.entries();
  }

  copy(): ClusterMap {
    return new ClusterMap(this.#size, this.#clusters);
  }

  /** Bytes of clusters with data, and of clusters known to be zero. */
  own(): { readonly data: number; readonly zero: number } {
    let data = 0;
    for (const cluster of this.#clusters.values()) if (cluster !== null) data += CLUSTER;
    return { data, zero: this.#clusters.size * CLUSTER - data };
  }

  /** Fills a range with one value. Answers the clusters that it touched. */
  fill(value: number, offset: number, length: number): number[] {
    return this.#touch(offset, length, (index, from, to) => {
      const old = this.#clusters.get(index);
      const bytes = old ? Uint8Array.from(old) : new Uint8Array(CLUSTER);
      this.#clusters.set(index, bytes.fill(value, from, to));
    });
  }

  /** Makes a range read as zeroes; whole clusters need no bytes for it. Answers the clusters that it touched. */
  zero(offset: number, length: number): number[] {
    return this.#touch(offset, length, (index, from, to) => {
      if (from === 0 && (to === CLUSTER || index * CLUSTER + to === this.#size)) this.#clusters.set(index, null);
      else this.fill(0, index * CLUSTER + from, to - from);
    });
  }

  /** Gives whole clusters back. Answers those that were there. */
  discard(offset: number, length: number): number[] {
    const there: number[] = [];
    this.#touch(offset, length, (index) => {
      if (this.#clusters.delete(index)) there.push(index);
    });
    return there;
  }

  resize(size: number): void {
    for (const index of [...this.#clusters.keys()]) if (index * CLUSTER >= size) this.#clusters.delete(index);
    this.#size = size;
    const tail = size % CLUSTER;
    if (tail !== 0 && this.#clusters.get((size - tail) / CLUSTER)) this.#touchTail((size - tail) / CLUSTER, tail);
  }

  #touchTail(index: number, tail: number): void {
    const bytes = Uint8Array.from(this.#clusters.get(index) ?? new Uint8Array(CLUSTER));
    this.#clusters.set(index, bytes.fill(0, tail));
  }

  #touch(offset: number, length: number, change: (index: number, from: number, to: number) => void): number[] {
    if (offset < 0 || length <= 0 || offset + length > this.#size) {
      throw new RangeError(`outside of ${this.#size} bytes: ${offset} + ${length}`);
    }
    const touched: number[] = [];
    for (let at = offset; at < offset + length;) {
      const index = Math.floor(at / CLUSTER);
      const from = at - index * CLUSTER;
      const to = Math.min(CLUSTER, offset + length - index * CLUSTER);
      change(index, from, to);
      touched.push(index);
      at = (index + 1) * CLUSTER;
    }
    return touched;
  }
}

/** Whether two images read the same, to the byte. */
export function sameContent(a: ClusterMap, b: ClusterMap): boolean {
  const indices = new Set([...a.entries(), ...b.entries()].map(([index]) => index));
  return a.size === b.size && [...indices].every((index) => sameCluster(a.get(index), b.get(index)));
}

const ZEROES = Buffer.alloc(CLUSTER);

/** Whether two clusters read the same; absent ones and null read as zeroes. */
export const sameCluster = (a: Cluster | undefined, b: Cluster | undefined): boolean =>
  Buffer.compare(a ?? ZEROES, b ?? ZEROES) === 0;
