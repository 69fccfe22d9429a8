import { randomUUID } from 'node:crypto';
import { posix } from 'node:path';
import { buildBackup, buildDiscard, buildRestore, type RestoreDisk, type RestoreWay } from '../../src/domain/agent/build-argv';
import type { BackupMode, LostBitmapWish, TransferWish } from '../../src/domain/agent/facts';
import { parseOutput, type ParsedOutput } from '../../src/domain/agent/parse-output';
import type { FollowedJob } from '../../src/engine/follow-job';
import type { HostAccess } from '../../src/hosts/host-access';
import type { HostClient, StartRequest } from '../../src/hosts/host-client';
import type { LabDisk, LabHost } from '../../src/hosts/fake/lab-host';
import { follow } from './follow';

/** One backup as the test knows it. */
export interface Point {
  readonly jobId: string;
  readonly path: string;
  readonly bitmap: string;
  readonly job: FollowedJob;
  readonly answer: ParsedOutput;
}

let serial = Math.floor(Date.now() / 1000);

/** Backups of one VM, one after the other, each with the moment at which it was asked for. */
export class ChainOf {
  fence = 1;
  stopped = false;
  onLostBitmap: LostBitmapWish = 'full';
  transfer: TransferWish = 'push';
  /** MiB a second; null: no limit. */
  bandwidth: number | null = null;
  /** Targets that are to be compared, whatever their bitmaps look like. */
  rescued: readonly string[] = [];
  #disks: Promise<readonly LabDisk[]> | undefined;

  constructor(
    private readonly lab: LabHost,
    private readonly client: HostClient,
    private readonly host: HostAccess,
    readonly vm: string,
    readonly nas: string,
  ) {}

  /** What `start` needs for the next backup; an incremental goes on from `parent`. */
  async order(
    mode: BackupMode,
    parent: Point | null = null,
    path = this.#path(),
  ): Promise<StartRequest & { path: string; bitmap: string }> {
    const { vm, nas } = this;
    const disks = await this.disks();
    const bitmap = `backup-${(serial += 1)}`;
    const { argv } = buildBackup(
      { kind: 'ours', dialect: 'seed' },
      {
        vm,
        repository: { type: 'dir', address: await this.lab.nas(nas), options: null },
        path,
        quiesce: false,
        diskPaths: this.stopped ? disks.map((disk) => disk.path) : [],
        mode,
        bitmapNew: bitmap,
        bitmapParent: mode === 'incremental' ? (parent?.bitmap ?? null) : null,
        onLostBitmap: this.onLostBitmap,
        transfer: this.transfer,
        bandwidth: this.bandwidth,
        disks: disks.map((disk, index) => ({
          target: disk.target,
          mode: mode !== 'incremental' ? 'full' : this.rescued.includes(disk.target) ? 'rescued' : 'incremental',
          parentFile: mode === 'incremental' ? `${parent?.path}/${this.file(disk.path, index)}` : null,
          path: disk.path,
        })),
      },
    );
    return { jobId: randomUUID(), fence: this.fence, argv, path, bitmap };
  }

  /** Takes the next backup and waits for its end. */
  async take(mode: BackupMode, parent: Point | null = null, path?: string): Promise<Point> {
    const order = await this.order(mode, parent, path);
    await this.lab.moment(this.vm, order.bitmap);
    await this.client.start(this.host, order);
    return this.ended(order, await follow(this.client, this.host, order.jobId));
  }

  ended({ jobId, path, bitmap }: { jobId: string; path: string; bitmap: string }, job: FollowedJob): Point {
    const answer = parseOutput({
      dialect: 'seed',
      vmState: this.stopped ? 'stopped' : 'running',
      stdout: job.stdout,
      stderr: job.stderr,
      exitCode: job.exit,
    });
    return { jobId, path, bitmap, job, answer };
  }

  /** What brings disks of a point back; `to` says where, disk by disk, and null leaves one out. */
  async restore(
    { path }: Point,
    to: (disk: LabDisk) => string | null,
    way: RestoreWay = { kind: 'new-disks' },
  ): Promise<StartRequest> {
    const disks = (await this.disks()).flatMap((disk, index): RestoreDisk[] => {
      const where = to(disk);
      const file = this.file(disk.path, index);
      return where === null ? [] : [{ target: disk.target, file, to: where, format: 'qcow2', virtualSize: disk.size }];
    });
    const repository = { type: 'dir', address: await this.lab.nas(this.nas), options: null } as const;
    const command = buildRestore({ vm: this.vm, repository, path, disks, way });
    return { jobId: randomUUID(), fence: this.fence, ...command };
  }

  /** Every disk of a point, with its chain, against what the disk held when it was asked for. */
  async identical({ path, bitmap }: Point): Promise<boolean[]> {
    const disks = await this.disks();
    return Promise.all(
      disks.map((disk, index) => {
        const file = this.lab.nasFile(this.nas, `${path}/${this.file(disk.path, index)}`);
        return this.lab.same(this.vm, bitmap, disk.target, file);
      }),
    );
  }

  async retire(bitmap: string): Promise<void> {
    const diskPaths = (await this.disks()).map(({ path }) => path);
    await this.client.retire(this.host, { vm: this.vm, bitmap, fence: this.fence, diskPaths });
  }

  /** Removes what a run has not finished; the exit code of the host script. */
  async discard({ path, jobId }: { path: string; jobId: string }): Promise<number | null> {
    const repository = { type: 'dir', address: await this.lab.nas(this.nas), options: null } as const;
    return (await this.client.run(this.host, buildDiscard(repository, path, jobId))).exit;
  }

  /** The VM's disks, which stay the same. */
  disks(): Promise<readonly LabDisk[]> {
    return (this.#disks ??= this.lab.vmDisks(this.vm));
  }

  private file(path: string, index: number): string {
    return `${index === 0 ? 'root' : 'datadisk'}.${posix.basename(path)}.qcow2`;
  }

  #path(): string {
    const part = (n: number): string => `${n}`.padStart(2, '0');
    serial += 1;
    return `${this.vm}/2026.01.01.${part(Math.floor(serial / 3600) % 24)}.${part(Math.floor(serial / 60) % 60)}.${part(serial % 60)}`;
  }
}
