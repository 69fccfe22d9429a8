import { Inject, Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { Dues } from '../database/repositories/dues';
import { Events } from '../database/repositories/events';
import { Hosts, type ReachableHost } from '../database/repositories/hosts';
import { Offerings } from '../database/repositories/offerings';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { UnitOfWork } from '../database/unit-of-work';
import type { InspectFacts } from '../domain/agent/facts';
import type { BackupPlan } from '../domain/chain/backup-plan';
import { readActiveCheckpoint } from '../domain/chain/chain-keys';
import { forecastFulls, type FullsForecast, type RestartedVm } from '../domain/run/forecast-fulls';
import { fullsAtOnce } from '../domain/run/pick-runs';
import { canLook } from '../hosts/host-access';
import { hostAccess } from '../inventory/host-access';
import { readPolicy } from '../inventory/offering-policy';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import type { Decided } from './planner';
import { limitsOf } from './queue';

type Decision = Decided['decision'];

/** Backups of a VM that its last full is looked for among. */
const LOOKED_AT = 30;

/** What the restart of a host costs, by the books and the limits that hold; and that there was one. Asks no host. */
@Injectable()
export class RestartForecaster {
  constructor(
    private readonly vms: Vms,
    private readonly offerings: Offerings,
    private readonly dues: Dues,
    private readonly runs: Runs,
    private readonly hosts: Hosts,
    private readonly events: Events,
    private readonly work: UnitOfWork,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** @param clean the guests are shut down before; false: the host goes down with them */
  async forecast(host: ReachableHost, clean: boolean): Promise<FullsForecast> {
    const vms = (await this.vms.onHost(host.id)).filter(({ backupOfferingId }) => backupOfferingId !== null);
    const dueIn = await this.#dueIn(vms);
    const { stock, dialect } = hostAccess(host, this.config.ssh);
    const restarted = vms.map(async (vm): Promise<RestartedVm> => {
      const offering = await this.offerings.findById(vm.backupOfferingId ?? 0);
      const { incrementalEnabled, fullEvery, onLostBitmap } = readPolicy(offering?.details ?? []);
      return {
        ...{ vm: vm.instanceName, running: vm.state === 'Running', incrementals: incrementalEnabled && fullEvery > 1 },
        hasCheckpoint: readActiveCheckpoint(await this.vms.details(vm.id)).active !== null,
        ...{ script: stock === null ? 'ours' : dialect, looked: canLook({ stock }), onLostBitmap },
        ...{ fullSeconds: await this.#fullSeconds(vm.id), dueInSeconds: dueIn.get(vm.id) ?? null },
      };
    });
    return forecastFulls(await Promise.all(restarted), clean, fullsAtOnce(limitsOf(this.config.engine)));
  }

  /**
   * That a host was restarted since it was last seen, and what that costs; null: it was not, or nobody knows.
   * @param decision about one of its VMs, by the boot that is seen now: whether the bitmap of that one has survived tells of the others
   */
  async news(host: ReachableHost, { host: { bootId } }: InspectFacts, decision: Decision): Promise<string | null> {
    const before = host.access.bootId;
    if (bootId === null || before === null || bootId === before) return null;
    const { sentence } = await this.forecast(host, decision.kind === 'incremental' && decision.reason === 'redefined');
    return `Host ${host.name} was restarted since it was last seen. ${sentence}`;
  }

  /** Notes which boot of a host a run has seen, and tells its `news`: once of each restart, whoever else sees it. */
  async notice(
    run: Pick<RunRow, 'id' | 'vmId'>,
    host: ReachableHost,
    { host: { bootId } }: InspectFacts,
    message: string | null,
  ): Promise<void> {
    if (bootId === null || bootId === host.access.bootId) return;
    await this.work.run(async () => {
      if (!(await this.hosts.noteBoot(host.id, bootId)) || message === null) return;
      await this.events.add({ kind: 'host-restarted', hostId: host.id, runId: run.id, vmId: run.vmId, message });
      this.work.onCommit(() => this.log.warn({ host: host.name, runId: run.id, detail: message }, 'a host was restarted'));
    });
  }

  async #dueIn(vms: readonly VmRow[]): Promise<Map<number, number>> {
    const now = await this.dues.now();
    const dueIn = new Map<number, number>();
    for (const { vmId, dueAt } of await this.dues.ofVms(vms.map(({ id }) => id))) {
      if (dueAt === null) continue;
      const seconds = Math.max(0, Math.round((dueAt.getTime() - now.getTime()) / 1000));
      dueIn.set(vmId, Math.min(seconds, dueIn.get(vmId) ?? Infinity));
    }
    return dueIn;
  }

  async #fullSeconds(vmId: number): Promise<number | null> {
    const full = (await this.runs.lastBackups(vmId, LOOKED_AT)).find(
      ({ plan }) => plan !== null && (plan as BackupPlan).kind !== 'incremental',
    );
    return full?.started && full.ended ? (full.ended.getTime() - full.started.getTime()) / 1000 : null;
  }
}
