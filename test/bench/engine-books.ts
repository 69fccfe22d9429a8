import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { createDataSource, type DatabaseConfig } from '../../src/database/data-source';
import { migrate } from '../../src/database/migrate';
import { BackupRepositories } from '../../src/database/repositories/backup-repositories';
import { Hosts } from '../../src/database/repositories/hosts';
import { Offerings } from '../../src/database/repositories/offerings';
import type { NewRun } from '../../src/database/repositories/runs';
import { Vms } from '../../src/database/repositories/vms';
import { UnitOfWork } from '../../src/database/unit-of-work';
import { FakeLab } from '../../src/hosts/fake/fake-lab';
import { toSettings } from '../../src/inventory/offering-policy';

const PAUSE_MS = 20;
/** No round may take longer. */
const PATIENCE_MS = 300_000;

/** VMs as the books and the fake hosts of all workers know them. */
export const vmNames = (howMany: number): string[] => Array.from({ length: howMany }, (_, vm) => `i-2-${vm + 1}-VM`);

/** Books with VMs of one host, one repository and one offering. */
export class EngineBooks {
  private constructor(
    readonly config: DatabaseConfig,
    readonly source: DataSource,
    readonly work: UnitOfWork,
    readonly vmIds: readonly number[],
  ) {}

  static async open(config: DatabaseConfig, howMany: number): Promise<EngineBooks> {
    const source = await createDataSource(config);
    await migrate(source);
    const work = new UnitOfWork(source);
    const lab = new FakeLab();
    const { address, user, port, scriptPath } = await lab.access();
    const host = await new Hosts(work).create(
      { uuid: randomUUID(), name: 'kvm1' },
      {
        ...{ address, port, sshUser: user, scriptPath, dialect: 'seed', beside: false },
        ...{ privateKeyFile: null, agentSocket: null, knownHostsFile: null, fingerprint: null, stockPath: null },
      },
    );
    const nas = { uuid: randomUUID(), name: 'nas1', type: 'dir', address: await lab.nas('nas1'), mountOpts: '' };
    await new BackupRepositories(work).create(nas);
    const daily = { uuid: randomUUID(), name: 'daily', description: null, externalId: nas.uuid };
    const offering = await new Offerings(work).create(daily, toSettings({ fullEvery: 100 }));
    const vms = new Vms(work);
    const vmIds: number[] = [];
    for (const instanceName of vmNames(howMany)) {
      const vm = { uuid: randomUUID(), name: instanceName, instanceName, hostId: host.id, state: 'Running' } as const;
      const { id } = await vms.create(vm);
      await vms.assignOffering(id, offering.id);
      vmIds.push(id);
    }
    return new EngineBooks(config, source, work, vmIds);
  }

  /** A run of each of so many VMs, not written down yet. */
  runs(howMany: number, mode: 'auto' | 'full' = 'auto'): NewRun[] {
    return this.vmIds.slice(0, howMany).map((vmId) => ({
      ...{ id: randomUUID(), vmId, kind: 'backup', triggeredBy: 'schedule', idempotencyKey: null },
      requested: { mode, quiesce: false },
    }));
  }

  /** Waits until no run waits or goes on. @throws Error when one has failed */
  async allEnded(): Promise<void> {
    const one = async (where: string): Promise<string | undefined> =>
      (
        await this.source.query<{ id: string; words: string }[]>(
          `SELECT error_message AS words FROM ck_runs WHERE ${where} LIMIT 1`,
        )
      )[0]?.words ?? undefined;
    const open = `SELECT 1 FROM ck_runs WHERE state IN ('queued', 'running', 'unknown') LIMIT 1`;
    for (const deadline = performance.now() + PATIENCE_MS; (await this.source.query<unknown[]>(open)).length > 0;) {
      if (performance.now() > deadline) throw new Error('the runs of a round do not end');
      await sleep(PAUSE_MS);
    }
    const failed = await one(`state <> 'succeeded'`);
    if (failed !== undefined) throw new Error(`a run of the bench failed: ${failed}`);
  }
}
