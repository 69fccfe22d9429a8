import { Inject, Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { BackupRepositories, type RepositoryWithWay } from '../database/repositories/backup-repositories';
import { Backups } from '../database/repositories/backups';
import { Hosts, type ReachableHost } from '../database/repositories/hosts';
import { type Lease, Leases } from '../database/repositories/leases';
import { Offerings } from '../database/repositories/offerings';
import { Restores } from '../database/repositories/restores';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { Volumes } from '../database/repositories/volumes';
import { UnitOfWork } from '../database/unit-of-work';
import { buildRestore, type HostCommand, type RestoreOrder, secretsOf } from '../domain/agent/build-argv';
import { readRestore, type RestoreFacts } from '../domain/agent/read-restore';
import type { Refusal } from '../domain/chain/refusal';
import { InvariantError, UserError } from '../domain/errors';
import { planRestore } from '../domain/restore/plan-restore';
import type { RestorePlan, RestoreRequest } from '../domain/restore/restore-plan';
import { type RestoreSettlement, settleRestore } from '../domain/restore/settle-restore';
import { canLook, type HostAccess } from '../hosts/host-access';
import type { HostClient, Mount } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { redact } from '../hosts/redact';
import { hostAccess } from '../inventory/host-access';
import { readPolicy } from '../inventory/offering-policy';
import { Config } from '../platform/config/load-config';
import { found } from '../platform/found';
import { LOG, type Log } from '../platform/log';
import { BookReader } from './book-reader';
import { claimOf, leaseLost } from './claim';
import { type DrivenEnd, type DrivenJob, type Hears, JobDriver, leftOnHost } from './job-driver';
import { NasHosts } from './nas-hosts';
import { mountOf, Planner, refusalError, refuseMaintenance } from './planner';
import { SpoiltFiles } from './spoilt-files';

/** A request, and the host (uuid or name) that does it; null: the VM's, or for new disks any that is there. */
export type RestoreWishes = RestoreRequest & { readonly host: string | null };

/** A plan and where it is carried out. */
export interface PlannedRestore {
  readonly plan: RestorePlan | Refusal;
  readonly host: ReachableHost;
}

/** One restore under its lease. */
interface Drive extends DrivenJob {
  readonly vm: VmRow;
}

/** Drives a restore from its claim to its end: plan, dispatch, follow, settle, record. Whoever adopts it finds its plan and its job. */
@Injectable()
export class Restorer {
  constructor(
    private readonly work: UnitOfWork,
    private readonly reader: BookReader,
    private readonly planner: Planner,
    private readonly jobs: JobDriver,
    private readonly runs: Runs,
    private readonly leases: Leases,
    private readonly restores: Restores,
    private readonly backups: Backups,
    private readonly repositories: BackupRepositories,
    private readonly offerings: Offerings,
    private readonly vms: Vms,
    private readonly volumes: Volumes,
    private readonly hosts: Hosts,
    private readonly nasHosts: NasHosts,
    private readonly spoilt: SpoiltFiles,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /**
   * What a restore would do now. Changes nothing.
   * @throws UserError `host.maintenance`, `host.none-looks`, `host.not-found`, `name.*`, `repository.maintenance`, `restore.no-script`,
   * `restore.repository-gone`, `restore.wrong-host`, `vm.no-host`
   */
  async plan(vm: VmRow, wishes: RestoreWishes): Promise<PlannedRestore> {
    const host = await this.#hostFor(vm, wishes);
    const access = this.#access(host);
    const inBooks = await this.reader.ofVm(vm.id);
    // A VM that is no longer in our care has no volumes that anybody could vouch for.
    const volumes = vm.removed === null ? await this.volumes.ofVm(vm.id) : [];
    const repositoryId = inBooks.find(({ row }) => row.uuid === wishes.backup)?.booked.repositoryId ?? null;
    const repository = repositoryId === null ? null : await this.#repository(repositoryId);
    refuseMaintenance(host, repository);
    const mount = repository && mountOf(repository);
    const facts = wishes.way === 'in-place' && mount !== null ? await this.planner.look(vm, access, mount, volumes) : null;
    const books = { vm: vm.instanceName, backups: inBooks.map(({ booked }) => booked), volumes, facts };
    const plan = planRestore(wishes, books);
    // A name that cannot be sent is refused now, not when the run begins.
    if (plan.kind === 'restore' && mount !== null) restoreCommand(plan, mount);
    return { plan, host };
  }

  /** @throws when the run cannot go on under this lease; it stays in the books and is looked at again. */
  async drive(run: RunRow, lease: Lease, signal: AbortSignal, hears: Hears): Promise<void> {
    const vm = await this.vms.findById(run.vmId);
    if (!vm) throw new InvariantError('run.without-vm', `The VM of run ${run.id} is not in the books.`);
    const log = this.log.child({ runId: run.id, vm: vm.instanceName, epoch: lease.epoch });
    const drive: Drive = { run, jobId: run.jobId ?? run.id, adopted: run.plan !== null, vm, lease, signal, hears, log };
    const prepared = await this.#prepare(drive).catch((error: unknown) => this.jobs.giveUp(drive, error));
    if (prepared === null) return;
    const { plan, access, mount } = prepared;
    const job = (await this.jobs.cancelled(drive))
      ? null
      : await this.jobs.carry(drive, access, () => restoreCommand(plan, mount));
    if (job === null) {
      // Of an adopted one nobody is certain that its former owner did not begin it.
      await this.restores.end(run.id, { identical: null, outcome: null, vmTouched: drive.adopted ? null : false });
      return;
    }
    await this.#finish(drive, plan, mount, job);
  }

  /** A plan that was written down is never made again: what it has begun must be found. */
  async #prepare({ run, vm, lease, log }: Drive): Promise<{ plan: RestorePlan; access: HostAccess; mount: Mount }> {
    if (run.plan !== null) {
      const plan = run.plan as RestorePlan;
      const host = run.hostId === null ? null : await this.hosts.findById(run.hostId);
      if (host === null)
        throw new InvariantError('run.without-host', `Run ${run.id} was planned on a host that is not in the books.`);
      return { plan, access: this.#access(host), mount: mountOf(await this.#repository(plan.repositoryId)) };
    }
    const { plan, host } = await this.plan(vm, run.requested as RestoreWishes);
    if (plan.kind === 'refused') throw refusalError(plan);
    const backup = await this.backups.findByUuid(plan.backup);
    const mount = mountOf(await this.#repository(plan.repositoryId));
    await this.work.run(async () => {
      await this.leases.hold(lease);
      const progress = plan.bytes === null ? {} : { progress: { done: 0, total: plan.bytes } };
      if (!(await this.runs.note(claimOf(lease), { hostId: host.id, plan, jobId: run.id, ...progress }))) throw leaseLost(lease);
      await this.restores.begin({
        runId: run.id,
        backupId: backup?.id ?? 0,
        backupUuid: plan.backup,
        vmId: vm.id,
        way: plan.way,
        assurance: plan.assurance,
        acceptedLevel: plan.accepted?.level ?? null,
        acceptedBy: plan.accepted?.by ?? null,
        acceptedWhy: plan.accepted?.why ?? null,
      });
      // Before the host is told: from then on no bitmap of before counts, whoever dies.
      if (plan.way === 'in-place') await this.restores.touchVm(run.id);
    });
    log.info({ backupId: plan.backup, way: plan.way, assurance: plan.assurance, host: host.name }, 'restore planned');
    return { plan, access: this.#access(host), mount };
  }

  async #finish(drive: Drive, plan: RestorePlan, mount: Mount, job: DrivenEnd): Promise<void> {
    const { run, vm, lease, log } = drive;
    // Puts back what was not swapped, or finishes where all was.
    const aborted = job.state === 'done' ? null : (await this.client.abort(job.access, drive.jobId)).abort;
    const putRight = aborted?.restore ?? null;
    const hide = (text: string): string => redact(text, secretsOf(mount));
    const read = readRestore(job.stdout);
    const facts = read.ok ? read.value : null;
    const settled = settleRestore(plan, { exit: job.exit, facts, stderr: hide(job.stderr), putRight });
    await this.work.run(async () => {
      await this.leases.hold(lease);
      await this.restores.end(run.id, { identical: settled.identical, outcome: facts, vmTouched: settled.vmTouched });
      if (settled.vmTouched === true) await this.#noteVolumes(vm, plan, facts);
      if (settled.vmTouched !== false) await this.#closeChain(vm);
      const left = [...job.left, ...(aborted?.left ?? [])].map((what) => leftOnHost(hide(what)));
      const warnings = [...new Set([...settled.warnings, ...left])];
      await this.#end(lease, { ...settled, warnings }, plan, { ...job, stdout: hide(job.stdout), stderr: hide(job.stderr) });
      for (const file of facts?.spoilt ?? []) await this.spoilt.noteFile(plan.repositoryId, file, { vmId: vm.id, runId: run.id });
    });
    if (settled.state === 'succeeded')
      log.info({ backupId: plan.backup, way: plan.way }, 'restored, and compared with the chain');
    else log.warn({ backupId: plan.backup, code: settled.code, detail: settled.sentence }, 'the restore did not succeed');
  }

  async #end(lease: Lease, settled: RestoreSettlement, plan: RestorePlan, job: DrivenEnd): Promise<void> {
    const { state, code, sentence, warnings } = settled;
    const ended = await this.runs.end(claimOf(lease), {
      state,
      errorCode: code,
      errorMessage: sentence,
      exitCode: job.exit,
      stdout: job.stdout,
      stderr: job.stderr,
      // What was known beforehand stands in the plan.
      warnings: [...warnings],
      ...(state === 'succeeded' && plan.bytes !== null ? { progress: { done: plan.bytes, total: plan.bytes } } : {}),
    });
    if (!ended) throw leaseLost(lease);
  }

  /** The next backup is a full; where the offering prefers a rescue, it is compared with the chain instead. */
  async #closeChain(vm: VmRow): Promise<void> {
    const offering = vm.backupOfferingId === null ? null : await this.offerings.findById(vm.backupOfferingId);
    if (readPolicy(offering?.details ?? []).onLostBitmap === 'full') await this.vms.setActiveCheckpoint(vm.id, null);
  }

  async #noteVolumes(vm: VmRow, { disks }: RestorePlan, facts: RestoreFacts | null): Promise<void> {
    const sizeOf = (path: string): number | null =>
      [...(facts?.disks ?? []), ...disks].find((disk) => disk.to === path && disk.virtualSize !== null)?.virtualSize ?? null;
    const volumes = await this.volumes.ofVm(vm.id);
    await this.volumes.replace(
      vm.id,
      volumes.map((volume) => ({ ...volume, size: sizeOf(volume.path) ?? volume.size })),
    );
  }

  async #hostFor(vm: VmRow, { host: name, way }: RestoreWishes): Promise<ReachableHost> {
    if (name === null) return way === 'in-place' ? this.hosts.ofVm(vm) : this.nasHosts.thatLooks(vm.id);
    const host = found(await this.hosts.find(name), 'host', name);
    if (way !== 'in-place' || host.id === vm.hostId) return host;
    // Its volumes may be seen from there too, and nothing there knows whether it runs.
    throw new UserError('restore.wrong-host', 'refused', `VM ${vm.instanceName} is not on host ${host.name} by the books.`, {
      next: 'A restore in place is done where the VM is; if it has moved, tell the books: PATCH /vms/{id} with its host.',
    });
  }

  /** Where a stock script takes the backups, ours beside it restores. @throws UserError `restore.no-script` */
  #access(host: ReachableHost): HostAccess {
    if (canLook(hostAccess(host, this.config.ssh))) return this.nasHosts.accessOfOurs(host);
    throw new UserError(
      'restore.no-script',
      'refused',
      `On host ${host.name} there is only a stock script, which cannot restore like this.`,
      {
        next: `Put ours beside it (chainkeeper host install ${host.name}), or name another host (--host).`,
      },
    );
  }

  async #repository(repositoryId: string): Promise<RepositoryWithWay> {
    const repository = await this.repositories.find(repositoryId);
    if (repository !== null) return repository;
    throw new UserError(
      'restore.repository-gone',
      'refused',
      'The repository that the backup lies in is no longer in the books.',
      {
        next: 'Add it again, or restore by hand: docs/restore-by-hand.md.',
      },
    );
  }
}

function restoreCommand(plan: RestorePlan, repository: Mount): HostCommand {
  const { vm, externalId: path, disks, overwrite, bandwidth } = plan;
  return buildRestore({
    ...{ vm, repository, path, way: wayOf(plan), overwrite, salvage: plan.accepted?.level === 'broken' },
    ...(bandwidth === null ? {} : { mibPerSecond: bandwidth }),
    disks: disks.map(({ target, file, to, format, virtualSize }) => ({
      ...{ target, file, to, format },
      ...(virtualSize === null ? {} : { virtualSize }),
    })),
  });
}

function wayOf({ way, newName, networks, attachTo }: RestorePlan): RestoreOrder['way'] {
  if (way === 'in-place') return { kind: 'in-place' };
  if (newName !== null) return { kind: 'new-domain', name: newName, networks };
  return attachTo === null ? { kind: 'new-disks' } : { kind: 'attached', vm: attachTo };
}
