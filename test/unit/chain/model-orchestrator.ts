import type { BackupPlan, BackupRequest } from '../../../src/domain/chain/backup-plan';
import type { BookedBackup, DiskResize } from '../../../src/domain/chain/booked-backup';
import { decideBackup } from '../../../src/domain/chain/decide-backup';
import { settleBackup } from '../../../src/domain/chain/settle-backup';
import type { BackedUp, Settlement } from '../../../src/domain/chain/settlement';
import type { InspectFacts, LostBitmapWish } from '../../../src/domain/agent/facts';
import { flatten, runOurs, runStockSeed, type Mishap, type ModelNas } from './model-script';
import { ModelDisk, ModelVm } from './model-vm';
import { OURS, situation, stock, T0 } from './situation';

/** A restore point of the model, with what the disks held at its moment. */
export interface ModelPoint {
  readonly settled: BackedUp;
  readonly plan: BackupPlan;
  readonly held: ReadonlyMap<string, readonly number[]>;
}

/** How one backup goes: which script, what happens between the look and the run, what goes wrong, whether the retiring is lost. */
export interface ModelRun {
  readonly stock: boolean;
  readonly mode: BackupRequest['mode'];
  readonly onLostBitmap: LostBitmapWish;
  readonly between: ((world: ModelWorld) => void) | null;
  readonly mishap: Mishap;
  readonly retires: boolean;
}

/** The VM, the NAS and the books, and one backup after another through decide, run and settle. */
export class ModelWorld {
  readonly vm: ModelVm;
  readonly nas: ModelNas = new Map();
  readonly points: ModelPoint[] = [];
  readonly outcomes: string[] = [];
  backups: BookedBackup[] = [];
  active: string | null = null;
  restoredAt: number | null = null;
  resizes: DiskResize[] = [];
  inspections: InspectFacts[] = [];
  now = T0;
  #lastUsed: number | null = null;
  #inode = 100;

  constructor(disks: number, size: number) {
    this.vm = new ModelVm(
      Array.from(
        { length: disks },
        (_, index) => new ModelDisk(`vd${'abc'[index]}`, this.newInode(), new Array<number>(size).fill(0)),
      ),
    );
  }

  newInode(): number {
    this.#inode += 1;
    return this.#inode;
  }

  /** Looks at the VM, as a dry run does, and keeps what was seen. */
  look(): InspectFacts {
    const facts = this.vm.inspect();
    this.inspections.push(facts);
    return facts;
  }

  backup(run: ModelRun, request: BackupRequest = { mode: run.mode, quiesce: false }): void {
    this.now += 10;
    const facts = this.vm.inspect();
    const { policy } = situation();
    const plan = decideBackup({
      request,
      policy: { ...policy, fullEvery: 6, acceptUnprovenParent: run.stock, onLostBitmap: run.onLostBitmap },
      books: {
        backups: this.backups,
        activeCheckpointId: this.active,
        lastUsedEpoch: this.#lastUsed,
        restoredAt: this.restoredAt,
        resizes: this.resizes,
        inspections: this.inspections,
      },
      facts,
      repositoryId: 'nas-1',
      // Like the seed in all that the model does, with a parent for every disk.
      script: run.stock ? stock('mid') : OURS,
      looked: true,
      now: this.now,
      newChainId: `chain-${this.now}`,
    });
    this.inspections.push(facts);
    if (plan.kind === 'refused') throw new Error(plan.code);
    this.#lastUsed = Number(plan.bitmapNew?.slice('backup-'.length));
    run.between?.(this);
    const held = new Map(this.vm.disks.map(({ target, clusters }) => [target, [...clusters]]));
    const ran = (run.stock ? runStockSeed : runOurs)(this.vm, this.nas, plan, run.mishap);
    const first = settleBackup(plan, ran.answer, ran.facts);
    if (first.outcome === 'unknown') {
      this.#remember(first);
      this.#conclude(run, plan, settleBackup(plan, ran.truth.answer, ran.truth.facts), held);
    } else this.#conclude(run, plan, first, held);
  }

  #conclude(run: ModelRun, plan: BackupPlan, settled: Settlement, held: ReadonlyMap<string, number[]>): void {
    this.#remember(settled);
    this.outcomes.push(
      settled.outcome === 'backed-up' ? settled.reason : settled.outcome === 'failed' ? settled.code : 'unknown',
    );
    if (settled.outcome === 'backed-up') {
      this.points.push({ settled, plan, held });
      this.backups.unshift(booked(settled, this.now));
      this.inspections = [];
      this.resizes = [];
    }
    if (run.retires) for (const name of settled.retire) this.vm.retire(name);
    if (settled.outcome === 'failed' && settled.retry !== null)
      this.backup({ ...run, between: null, mishap: 'none' }, settled.retry);
  }

  #remember({ activeCheckpoint }: Settlement): void {
    if (activeCheckpoint.change === 'cleared') this.active = null;
    if (activeCheckpoint.change === 'set') this.active = activeCheckpoint.to;
  }

  /** Does the point, flattened, hold what the disks held? */
  isIdentical({ settled, held }: ModelPoint): boolean {
    return (
      settled.disks.length === held.size &&
      settled.disks.every(
        ({ target, file }) =>
          JSON.stringify(flatten(this.nas, `${settled.externalId}/${file}`)) === JSON.stringify(held.get(target)),
      )
    );
  }
}

function booked(settled: BackedUp, date: number): BookedBackup {
  const { type, externalId, size, details, disks, assurance } = settled;
  return {
    uuid: externalId,
    status: 'BackedUp',
    type,
    externalId,
    date,
    size,
    repositoryId: 'nas-1',
    details,
    disks,
    assurance,
    files: 'present',
  };
}
