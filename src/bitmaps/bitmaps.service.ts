import { Inject, Injectable } from '@nestjs/common';
import type { VmRow } from '../database/entities/vm-row';
import { Hosts } from '../database/repositories/hosts';
import { Runs } from '../database/repositories/runs';
import { Leases } from '../database/repositories/leases';
import { Vms } from '../database/repositories/vms';
import { Volumes } from '../database/repositories/volumes';
import { UnitOfWork } from '../database/unit-of-work';
import type { Release } from '../domain/agent/read-release';
import type { BackupPlan } from '../domain/chain/backup-plan';
import { type BitmapEntry, bitmapInventory, type PlannedBitmap } from '../domain/chain/bitmap-inventory';
import { readActiveCheckpoint } from '../domain/chain/chain-keys';
import { BetweenRuns } from '../engine/between-runs';
import { BookReader } from '../engine/book-reader';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import { LOG, type Log } from '../platform/log';
import type { BitmapDto, BitmapsDto } from './dto/bitmap.dto';
import type { ReleaseDto } from './dto/release.dto';

/** How far back runs are looked through for what planned a bitmap. */
const RUNS_BACK = 500;

@Injectable()
export class BitmapsService {
  constructor(
    private readonly work: UnitOfWork,
    private readonly vms: Vms,
    private readonly hosts: Hosts,
    private readonly volumes: Volumes,
    private readonly leases: Leases,
    private readonly runs: Runs,
    private readonly reader: BookReader,
    private readonly betweenRuns: BetweenRuns,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Asks the host what is on the VM, and the books whose it is. */
  async list(id: string): Promise<BitmapsDto> {
    const vm = found(await this.vms.find(id), 'vm', id);
    const host = hostAccess(await this.hosts.ofVm(vm), this.config.ssh);
    const diskPaths = (await this.volumes.ofVm(vm.id)).map(({ path }) => path);
    const facts = await this.client.inspect(host, { vm: vm.instanceName, diskPaths });
    const books = await this.reader.books(vm.id);
    return {
      vm: vm.instanceName,
      state: facts.vm.state,
      activeCheckpoint: books.activeCheckpointId,
      items: bitmapInventory(facts, books, await this.#planned(vm)).map(presentBitmap),
    };
  }

  /**
   * Takes every bitmap of ours off a VM and closes its chain. First the host, then the books: when nobody saw how it ended
   * on the host, the next inspection tells what is there.
   */
  async release(id: string, dryRun: boolean): Promise<ReleaseDto> {
    const vm = found(await this.vms.find(id), 'vm', id);
    const { active } = readActiveCheckpoint(await this.vms.details(vm.id));
    const released = dryRun
      ? await this.#release(vm, 0, true)
      : await this.betweenRuns.hold(vm.id, async (lease) => {
          const done = await this.#release(vm, lease.epoch, false);
          await this.work.run(async () => {
            await this.leases.hold(lease);
            await this.vms.setActiveCheckpoint(vm.id, null);
          });
          this.log.info(
            { vm: vm.instanceName, bitmaps: done.bitmaps.map(({ name }) => name) },
            'released: the next backup is a full',
          );
          return done;
        });
    return {
      vm: vm.instanceName,
      state: released.state,
      dryRun,
      bitmaps: released.bitmaps.map(({ disks, ...bitmap }) => ({ ...bitmap, disks: [...disks] })),
      activeCheckpoint: active,
    };
  }

  async #planned(vm: VmRow): Promise<PlannedBitmap[]> {
    const { items } = await this.runs.page({ limit: RUNS_BACK }, { vmId: vm.id });
    return items.flatMap(({ id, state, plan }) => {
      const bitmap = (plan as BackupPlan | null)?.bitmapNew ?? null;
      return bitmap === null ? [] : [{ run: id, state, bitmap }];
    });
  }

  async #release(vm: VmRow, fence: number, dryRun: boolean): Promise<Release> {
    const diskPaths = (await this.volumes.ofVm(vm.id)).map(({ path }) => path);
    const host = hostAccess(await this.hosts.ofVm(vm), this.config.ssh);
    return this.client.release(host, { vm: vm.instanceName, fence, diskPaths, dryRun });
  }
}

const presentBitmap = ({ created, disks, backup, run, ...entry }: BitmapEntry): BitmapDto => ({
  ...entry,
  created: created === null ? null : new Date(created * 1000).toISOString(),
  disks: [...disks],
  backupId: backup,
  runId: run,
});
