import type { BitmapFacts, InspectedDisk, InspectFacts } from '../../../src/domain/agent/facts';
import { inspect } from './situation';

/** Bytes of one cluster of the model; a cluster holds one number, 0 is a cluster of zeroes. */
export const CLUSTER = 65_536;

interface ModelBitmap {
  dirty: Set<number>;
  recording: boolean;
  inconsistent: boolean;
  /** The life of QEMU it was made in: a crash loses what that life had not yet written to the image. */
  readonly life: number;
}

/** A disk of the model: clusters, bitmaps in the image, and which file it is. */
export class ModelDisk {
  bitmaps = new Map<string, ModelBitmap>();

  constructor(
    readonly target: string,
    public inode: number,
    public clusters: number[],
  ) {}

  write(cluster: number, value: number): void {
    if (cluster >= this.clusters.length) return;
    this.clusters[cluster] = value;
    for (const bitmap of this.bitmaps.values()) if (bitmap.recording) bitmap.dirty.add(cluster);
  }

  /** QEMU drops the bits beyond the end, and gives none for what a growing disk gets. */
  resize(size: number): void {
    const old = this.clusters;
    this.clusters = Array.from({ length: size }, (_, index) => old[index] ?? 0);
    for (const bitmap of this.bitmaps.values()) bitmap.dirty = new Set([...bitmap.dirty].filter((cluster) => cluster < size));
  }

  addBitmap(name: string, life: number): void {
    this.bitmaps.set(name, { dirty: new Set(), recording: true, inconsistent: false, life });
  }
}

/** A VM under libvirt, with the rules of bitmaps that were measured on QEMU 7.2: what a stop, a crash, a resize leave. */
export class ModelVm {
  state: 'running' | 'paused' | 'shut off' = 'running';
  checkpoints = new Set<string>();
  /** Counts the lives of QEMU. */
  life = 1;

  constructor(public disks: ModelDisk[]) {}

  get isUp(): boolean {
    return this.state !== 'shut off';
  }

  stop(): void {
    if (!this.isUp) return;
    this.state = 'shut off';
    this.checkpoints.clear();
    // A clean stop stores the bitmaps: from now on they are in the image for good.
    for (const disk of this.disks) for (const [name, bitmap] of disk.bitmaps) disk.bitmaps.set(name, { ...bitmap, life: 0 });
  }

  start(): void {
    if (this.isUp) return;
    this.state = 'running';
    this.life += 1;
  }

  crash(): void {
    if (!this.isUp) return;
    this.checkpoints.clear();
    for (const disk of this.disks) {
      for (const [name, bitmap] of disk.bitmaps) {
        if (bitmap.life === this.life) disk.bitmaps.delete(name);
        else disk.bitmaps.set(name, { ...bitmap, inconsistent: true, recording: false });
      }
    }
    this.state = 'shut off';
    this.start();
  }

  dropBitmaps(): void {
    for (const disk of this.disks) disk.bitmaps.clear();
    this.checkpoints.clear();
  }

  retire(name: string): void {
    this.checkpoints.delete(name);
    for (const disk of this.disks) disk.bitmaps.delete(name);
  }

  /** What `inspect` says of it. */
  inspect(): InspectFacts {
    return inspect({
      vm: { state: this.state, qemuStarted: this.isUp ? new Date(this.life * 60_000).toISOString() : null },
      checkpoints: [...this.checkpoints],
      disks: this.disks.map((disk) => this.#inspectDisk(disk)),
    });
  }

  #inspectDisk({ target, inode, clusters, bitmaps }: ModelDisk): InspectedDisk {
    return {
      target,
      path: `/pool/${target}-${inode}`,
      inode,
      type: 'file',
      format: 'qcow2',
      compat: '1.1',
      virtualSize: clusters.length * CLUSTER,
      clusterSize: CLUSTER,
      errorPolicy: null,
      writtenBytes: null,
      bitmaps: [...bitmaps].map(([name, { dirty, recording, inconsistent }]): BitmapFacts => ({
        name,
        recording,
        inconsistent,
        persistent: true,
        busy: false,
        granularity: CLUSTER,
        dirtyBytes: this.isUp ? dirty.size * CLUSTER : null,
      })),
    };
  }
}
