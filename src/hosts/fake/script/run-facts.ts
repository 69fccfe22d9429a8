import { posix } from 'node:path';
import type { BackupMode, DiskFacts, Facts, Transfer, VmState } from '../../../domain/agent/facts';
import { CLUSTER } from '../cluster-map';
import type { FakeFile, FakeNas } from '../fake-nas';
import type { Call } from './call';
import type { Failure } from './failure';
import type { DiskPlan, RunPlan } from './plan';

/** What one run has seen and done so far: the material of FACTS, and of what it has to take back. */
export class RunRecord {
  nas: FakeNas | null = null;
  plan: RunPlan | null = null;
  transfer: Transfer | null = null;
  transferReason: string | null = null;
  doneMode: BackupMode | 'none' = 'none';
  doneBitmap: string | null = null;
  state: VmState | null = null;
  qemuStarted: string | null = null;
  job: Facts['job'] = null;
  readonly files = new Map<DiskPlan, FakeFile>();
  readonly dirtyBefore = new Map<DiskPlan, number | null>();
  readonly parentBitmaps = new Map<DiskPlan, DiskFacts['parentBitmap']>();
  guest = {
    frozenMs: null as number | null,
    pausedMs: null as number | null,
    slowestWriteMs: null as number | null,
    resumed: null as boolean | null,
    thawed: null as boolean | null,
  };
  readonly left: string[] = [];
  /** How to take back what was changed, newest last. */
  readonly undo: (() => void)[] = [];
  readonly #start = performance.now();

  constructor(
    readonly call: Call,
    readonly path: string,
  ) {}

  /** `FACTS=` with its line end; nothing where nobody asked for them. */
  line(failure: Failure | null): string {
    return this.call.options.facts ? `FACTS=${JSON.stringify(this.#facts(failure))}\n` : '';
  }

  #facts(failure: Failure | null): Facts {
    const { host, options } = this.call;
    const asked = (name: string): string | null => options.values.get(name) || null;
    const looked = this.state !== null;
    const total = Math.round(performance.now() - this.#start);
    return {
      v: 1,
      script: '1.0.0',
      dialect: asked('dialect') === 'seed' ? 'seed' : 'final',
      host: looked ? host.facts() : { ...host.facts(), libvirt: null, qemu: null },
      vm: { name: asked('vm'), state: this.state, qemuStarted: this.qemuStarted },
      asked: { mode: asked('mode') ?? 'legacy-full', bitmapNew: asked('bitmap-new'), bitmapParent: asked('bitmap-parent') },
      done: {
        mode: this.doneMode,
        transfer: this.transfer,
        transferReason: this.transferReason,
        bandwidth: this.transfer === 'push' ? null : Number(asked('bandwidth') ?? 0) || null,
        reason: this.plan?.reason ?? null,
        recreateMethod: this.plan?.recreateMethod ?? null,
        rescueRefused: this.plan?.rescueRefused ?? null,
        bitmapNew: this.doneBitmap,
      },
      job: this.job,
      disks: this.plan?.disks.map((disk) => this.#disk(disk)) ?? [],
      guest: this.transfer === 'offline' ? null : this.guest,
      space: this.nas && { total: this.nas.capacity, free: this.nas.free },
      cleanup: { ok: this.left.length === 0, left: this.left },
      timings: {
        mount: looked ? 1 : null,
        inspect: null,
        job: this.job?.ms ?? null,
        rebase: null,
        check: null,
        unmount: null,
        total: failure ? null : total,
      },
      error: failure && { code: failure.code, message: failure.message },
    };
  }

  #disk(plan: DiskPlan): DiskFacts {
    const { disk, target, mode } = plan;
    const file = this.files.get(plan) ?? null;
    const own = file?.image?.own() ?? null;
    return {
      target,
      path: disk.path,
      inode: disk.inode,
      format: disk.format,
      virtualSize: disk.content.size,
      method: file && (this.transfer === 'offline' ? 'converted' : mode),
      file: file && plan.file,
      backing: file?.backing ?? null,
      fileSize: file?.size ?? null,
      allocated: file?.size ?? null,
      clusterSize: file && CLUSTER,
      ownData: own?.data ?? null,
      ownZero: own?.zero ?? null,
      dirtyBefore: this.dirtyBefore.get(plan) ?? null,
      compared: file && mode === 'rescued' ? disk.content.size : null,
      parentBitmap: this.parentBitmaps.get(plan) ?? null,
      check: file ? 'ok' : 'skipped',
      writtenBytes: this.transfer === 'offline' ? null : disk.written,
    };
  }
}

/** Where a file's backing file lies, as seen from the file's folder. */
export const backingOf = (folder: string, parent: string): string => posix.relative(folder, parent);
