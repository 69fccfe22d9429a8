import { Inject, Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Backups } from '../database/repositories/backups';
import { Hosts, type ReachableHost } from '../database/repositories/hosts';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { Volumes } from '../database/repositories/volumes';
import { buildDiscard } from '../domain/agent/build-argv';
import type { InspectFacts } from '../domain/agent/facts';
import type { SweptItem } from '../domain/agent/read-sweep';
import type { BackupPlan } from '../domain/chain/backup-plan';
import { ChainkeeperError } from '../domain/errors';
import { BetweenRuns } from '../engine/between-runs';
import { mountOf } from '../engine/planner';
import type { HostAccess } from '../hosts/host-access';
import type { HostClient, Mount } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { scriptError } from '../hosts/script-error';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import type { SweepDto } from './dto/sweep.dto';

/** Runs that ended longer ago have been swept many times. */
const DAYS_BACK = 30;
const RUNS_BACK = 500;
const DELETE_DEADLINE_MS = 300_000;

/** A run that made no backup, and all that it may have left. */
interface Failed {
  readonly run: RunRow;
  readonly plan: BackupPlan;
  readonly vm: VmRow;
  readonly access: HostAccess;
  readonly mount: Mount;
  readonly diskPaths: readonly string[];
}

/** What runs left behind: the host tells what lies there and is dead, the books tell what nobody needs any more. */
@Injectable()
export class SweepService {
  /** Runs that were found to have left nothing. */
  readonly #clean = new Set<string>();

  constructor(
    private readonly hosts: Hosts,
    private readonly vms: Vms,
    private readonly volumes: Volumes,
    private readonly runs: Runs,
    private readonly backups: Backups,
    private readonly repositories: BackupRepositories,
    private readonly betweenRuns: BetweenRuns,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
  ) {}

  async sweep(id: string, dryRun: boolean): Promise<SweepDto> {
    return this.sweepHost(found(await this.hosts.find(id), 'host', id), dryRun);
  }

  async sweepHost(host: ReachableHost, dryRun: boolean): Promise<SweepDto> {
    const access = hostAccess(host, this.config.ssh);
    const { items } = await this.client.sweep(access, { dryRun });
    const swept = [...items];
    for (const vm of await this.vms.onHost(host.id)) swept.push(...(await this.#sweepVm(vm, access, dryRun)));
    return { host: host.name, dryRun, items: swept };
  }

  async #sweepVm(vm: VmRow, access: HostAccess, dryRun: boolean): Promise<SweptItem[]> {
    const { items: runs } = await this.runs.page({ limit: RUNS_BACK }, { vmId: vm.id, states: ['failed', 'cancelled'] });
    const since = Date.now() - DAYS_BACK * 86_400_000;
    // What a restore has begun the host itself puts right; a deletion leaves nothing on it.
    const recent = runs.filter(
      ({ id, kind, ended }) => kind === 'backup' && !this.#clean.has(id) && (ended?.getTime() ?? 0) > since,
    );
    const swept: SweptItem[] = [];
    for (const run of recent) {
      const plan = run.plan as BackupPlan | null;
      const repository = plan && (await this.repositories.find(plan.repositoryId));
      if (!plan || !repository) continue;
      if (repository.maintenance !== null) {
        const text = `what run ${run.id} left is not looked for while repository ${repository.name} is in maintenance`;
        swept.push({ code: 'run', subject: plan.vm, action: 'left', text });
        continue;
      }
      const diskPaths = (await this.volumes.ofVm(vm.id)).map(({ path }) => path);
      const failed = { run, plan, vm, access, mount: mountOf(repository), diskPaths };
      const items = await this.#sweepRun(failed, dryRun).catch((error: unknown) => [leftBecause(failed, error)]);
      swept.push(...items);
    }
    return swept;
  }

  async #sweepRun(failed: Failed, dryRun: boolean): Promise<SweptItem[]> {
    const { run, plan, vm, access, mount, diskPaths } = failed;
    // Its operation may live on where nobody saw how it ended.
    if ((await this.client.status(access, { jobId: run.jobId ?? run.id })).state === 'running') return [];
    const facts = await this.client.inspect(access, { vm: plan.vm, diskPaths, repository: mount, path: plan.backupPath });
    const rows = (await this.backups.listByVm(vm.id)).filter(({ externalId }) => externalId === plan.backupPath);
    const booked = rows.some(({ status }) => status !== 'Error');
    const hasDirectory = !booked && !facts.problems.some(({ code }) => code === 'path-missing');
    const bitmap = plan.bitmapNew !== null && isOn(facts, plan.bitmapNew) ? plan.bitmapNew : null;
    const why = `run ${run.id} ended as ${run.state} and made no backup of it`;
    const items = (action: SweptItem['action']): SweptItem[] => [
      ...(bitmap === null ? [] : [{ code: 'bitmap', subject: `${plan.vm} ${bitmap}`, action, text: why }]),
      ...(hasDirectory ? [{ code: 'partial-directory', subject: plan.backupPath, action, text: why }] : []),
    ];
    // A disk that could not be read may have the bitmap all the same.
    const allRead = facts.disks.length > 0 && facts.disks.every(({ bitmaps }) => bitmaps !== null);
    if (bitmap === null && !hasDirectory && allRead) this.#clean.add(run.id);
    if (dryRun || (bitmap === null && !hasDirectory)) return items('would-be-removed');
    await this.betweenRuns.hold(vm.id, async ({ epoch }) => {
      if (bitmap !== null) await this.client.retire(access, { vm: plan.vm, bitmap, fence: epoch, diskPaths });
      if (!hasDirectory) return;
      await this.#discard(failed);
      // A failed run's row says where it left something; nothing is there any more.
      for (const row of rows) await this.backups.remove(row.id);
    });
    return items('removed');
  }

  /** Only what bears the run's mark: a run may have failed because somebody else's directory was there. */
  async #discard({ run, access, mount, plan }: Failed): Promise<void> {
    const command = buildDiscard(mount, plan.backupPath, run.jobId ?? run.id);
    const result = await this.client.run(access, { ...command, deadlineMs: DELETE_DEADLINE_MS });
    if (result.exit !== 0) throw scriptError(access, 'delete', result, command.secrets);
  }
}

const isOn = ({ checkpoints, disks }: InspectFacts, name: string): boolean =>
  checkpoints.includes(name) || disks.some(({ bitmaps }) => bitmaps?.some((bitmap) => bitmap.name === name));

/** One run that cannot be swept now keeps no other from it. An error that is not ours is thrown on. */
function leftBecause({ run, plan }: Failed, error: unknown): SweptItem {
  if (!(error instanceof ChainkeeperError)) throw error;
  return {
    code: 'run',
    subject: plan.vm,
    action: 'left',
    text: `what run ${run.id} left could not be swept now: ${error.message}`,
  };
}
