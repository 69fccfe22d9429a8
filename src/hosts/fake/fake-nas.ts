import { posix } from 'node:path';
import { type Cluster, CLUSTER, ClusterMap, sameCluster } from './cluster-map';

/** A file on a NAS: an image with what it holds itself, or bytes. */
export interface FakeFile {
  readonly image: ClusterMap | null;
  readonly bytes: Buffer | null;
  /** As stored in the image: relative to its folder. */
  backing: string | null;
  readonly size: number;
}

/** qcow2's header and tables. */
const OVERHEAD = 3 * CLUSTER;

/** A NAS export in memory. Paths are relative to its root. */
export class FakeNas {
  readonly files = new Map<string, FakeFile>();
  readonly folders = new Set<string>();
  /** Folders of runs that have not finished them, each with its run. */
  readonly unfinished = new Map<string, string>();
  /** Folders of runs that have finished them, each with its run, until they are described. */
  readonly finished = new Map<string, string>();
  /** What the NAS asks for at mount; null: nothing. */
  credentials: { readonly username: string; readonly password: string } | null = null;

  readOnly = false;
  /** QEMU's user may go in. */
  enterable = true;
  /** Microseconds until a small write is kept. */
  latencyUs = 400;

  constructor(
    readonly address: string,
    public capacity: number,
  ) {}

  get free(): number {
    let used = 0;
    for (const { size } of this.files.values()) used += size;
    return Math.max(0, this.capacity - used);
  }

  /** False when it is there already. */
  makeFolder(path: string): boolean {
    if (this.folders.has(path)) return false;
    this.folders.add(path);
    return true;
  }

  /** @throws when it does not fit: the NAS is full. */
  put(path: string, content: ClusterMap | string | Buffer, backing: string | null = null): FakeFile {
    const image = typeof content === 'string' || Buffer.isBuffer(content) ? null : content;
    const bytes = typeof content === 'string' || Buffer.isBuffer(content) ? Buffer.from(content as string) : null;
    const size = bytes?.length ?? OVERHEAD + (image?.own().data ?? 0);
    if (size > this.free) throw new Error('No space left on device');
    const file = { image, bytes, backing, size };
    this.files.set(path, file);
    return file;
  }

  /** Removes a folder with everything in it; answers what was removed, deepest first. */
  remove(folder: string): string[] {
    const inside = [...this.files.keys()].filter((path) => path.startsWith(`${folder}/`));
    for (const path of inside) this.files.delete(path);
    const folders = [...this.folders].filter((path) => path === folder || path.startsWith(`${folder}/`));
    for (const path of folders) {
      this.folders.delete(path);
      this.unfinished.delete(path);
      this.finished.delete(path);
    }
    return [...inside, ...folders.reverse()];
  }

  /** Names of what lies in a folder, sorted. */
  names(folder: string): string[] {
    const inside = [...this.files.keys(), ...this.folders].filter((path) => path.startsWith(`${folder}/`));
    return [...new Set(inside.map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''))].sort();
  }

  size(folder: string): number {
    let sum = 0;
    for (const [path, { size }] of this.files) if (path.startsWith(`${folder}/`)) sum += size;
    return sum;
  }

  /** The paths of a file and of everything under it, top first. Null when a file of the chain is missing or is no image. */
  links(path: string): string[] | null {
    const seen = new Set<string>();
    for (let at: string | null = path; at !== null;) {
      const file: FakeFile | undefined = this.files.get(at);
      if (!file?.image || seen.has(at)) return null;
      seen.add(at);
      at = file.backing === null ? null : posix.join(posix.dirname(at), file.backing);
    }
    return [...seen];
  }

  /** The first file on the way down from this one that is not there. */
  missing(path: string): string {
    let at = path;
    for (let file = this.files.get(at); file?.backing != null; file = this.files.get(at))
      at = posix.join(posix.dirname(at), file.backing);
    return at;
  }

  /** Whether anything of the VM lies here that this path belongs to. */
  keeps(path: string): boolean {
    const vm = `${path.split('/')[0]}/`;
    return [...this.folders, ...this.files.keys()].some((other) => other.startsWith(vm));
  }

  /** An image and everything under it, top first. Null when a file of the chain is missing or is no image. */
  chain(path: string): ClusterMap[] | null {
    return this.links(path)?.flatMap((link) => this.files.get(link)?.image ?? []) ?? null;
  }

  /** What a restore of this file gives: an image of its own. @throws when its chain is broken. */
  content(path: string): ClusterMap {
    const layers = this.#mustChain(path);
    const flat = new ClusterMap(layers[0]?.size ?? 0);
    for (let index = 0; index * CLUSTER < flat.size; index += 1) {
      const cluster = readThrough(layers, index);
      if (cluster) flat.set(index, cluster);
    }
    return flat;
  }

  /** What a restore of this file would give. @throws when its chain is broken. */
  flatten(path: string): Uint8Array {
    const layers = this.#mustChain(path);
    const size = layers[0]?.size ?? 0;
    const bytes = new Uint8Array(size);
    for (let index = 0; index * CLUSTER < size; index += 1) {
      const cluster = readThrough(layers, index);
      if (cluster) bytes.set(cluster.subarray(0, Math.min(CLUSTER, size - index * CLUSTER)), index * CLUSTER);
    }
    return bytes;
  }

  /** Does this file with its chain hold, byte for byte, that content? @throws when its chain is broken. */
  holds(path: string, content: ClusterMap): boolean {
    return this.#mustChain(path)[0]?.size === content.size && this.differences(path, content).length === 0;
  }

  /** Where this file with its chain and that content differ. @throws when its chain is broken. */
  differences(path: string, content: ClusterMap): number[] {
    const layers = this.#mustChain(path);
    const indices = new Set([...layers, content].flatMap((layer) => [...layer.entries()].map(([index]) => index)));
    return [...indices].filter(
      (index) => index * CLUSTER < content.size && !sameCluster(readThrough(layers, index), content.get(index)),
    );
  }

  #mustChain(path: string): ClusterMap[] {
    const layers = this.chain(path);
    if (!layers) throw new Error(`no such file, or its chain is broken: ${path}`);
    return layers;
  }
}

function readThrough(layers: readonly ClusterMap[], index: number): Cluster | undefined {
  for (const layer of layers) {
    // Beyond its own end a layer below reads as zeroes.
    if (index * CLUSTER >= layer.size) return null;
    const cluster = layer.get(index);
    if (cluster !== undefined) return cluster;
  }
  return undefined;
}
