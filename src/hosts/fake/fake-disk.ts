import { randomUUID } from 'node:crypto';
import { CLUSTER, ClusterMap } from './cluster-map';

/** A dirty bitmap in a disk's image. */
export interface FakeBitmap {
  readonly name: string;
  readonly dirty: Set<number>;
  recording: boolean;
  inconsistent: boolean;
  /** The life of QEMU in which it was made; null: made while the VM was stopped. A crash loses those of the life it ends. */
  readonly bornIn: number | null;
}

let inodes = 1000;

/** A qcow2 (or raw) image with its bitmaps, which every write marks. */
export class FakeDisk {
  readonly inode = (inodes += 1);
  readonly bitmaps = new Map<string, FakeBitmap>();
  /** Bytes that the guest wrote since QEMU started. */
  written = 0;
  /** As the domain says it; null: libvirt's default. */
  errorPolicy: string | null = null;

  constructor(
    readonly target: string,
    size: number,
    folder: string,
    readonly format: 'qcow2' | 'raw' = 'qcow2',
    /** qcow2 compatibility level; `0.10` cannot hold bitmaps. */
    readonly compat: '1.1' | '0.10' = '1.1',
    // A bare uuid, as on CloudStack's primary storage.
    readonly path = `${folder}/${randomUUID()}`,
    readonly content = new ClusterMap(size),
  ) {}

  /** A restored disk: a new image, which has no bitmaps. */
  static restored(target: string, path: string, format: 'qcow2' | 'raw', content: ClusterMap): FakeDisk {
    return new FakeDisk(target, content.size, '', format, '1.1', path, content);
  }

  /** The same image as a disk of that name. */
  as(target: string): FakeDisk {
    return FakeDisk.restored(target, this.path, this.format, this.content);
  }

  write(pattern: number, offset: number, length: number): void {
    this.#mark(this.content.fill(pattern, offset, length));
    this.written += length;
  }

  zero(offset: number, length: number): void {
    this.#mark(this.content.zero(offset, length));
    this.written += length;
  }

  discard(offset: number, length: number): void {
    this.#mark(this.content.discard(offset, length));
  }

  /** A bitmap forgets what lies behind a shrunk end, and growing back does not bring it again: a hole, as in QEMU. */
  resize(size: number): void {
    this.content.resize(size);
    for (const { dirty } of this.bitmaps.values()) {
      for (const index of [...dirty]) if (index * CLUSTER >= size) dirty.delete(index);
    }
  }

  addBitmap(name: string, life: number | null): void {
    if (this.bitmaps.has(name)) throw new Error(`Bitmap already exists: ${name}`);
    this.bitmaps.set(name, { name, dirty: new Set(), recording: true, inconsistent: false, bornIn: life });
  }

  dirtyBytes(name: string): number | null {
    const dirty = this.bitmaps.get(name)?.dirty;
    return dirty === undefined ? null : Math.min(dirty.size * CLUSTER, this.content.size);
  }

  /** QEMU was killed: it saved nothing. Older bitmaps are in use for ever, its own are gone. */
  crash(life: number): void {
    for (const bitmap of [...this.bitmaps.values()]) {
      if (bitmap.bornIn === life) this.bitmaps.delete(bitmap.name);
      else [bitmap.inconsistent, bitmap.recording] = [true, false];
    }
  }

  #mark(clusters: readonly number[]): void {
    for (const { recording, dirty } of this.bitmaps.values()) if (recording) clusters.forEach((index) => dirty.add(index));
  }
}
