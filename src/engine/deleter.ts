import { Inject, Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { BackupRepositories } from '../database/repositories/backup-repositories';
import { Backups, type BookedBackup } from '../database/repositories/backups';
import { Hosts } from '../database/repositories/hosts';
import { type Lease, Leases } from '../database/repositories/leases';
import { type RunEvent, Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { Volumes } from '../database/repositories/volumes';
import { isOfBooks } from '../database/database-error';
import { UnitOfWork } from '../database/unit-of-work';
import { buildDelete, secretsOf } from '../domain/agent/build-argv';
import { foundNothing, readDelete } from '../domain/agent/read-delete';
import type { Refusal } from '../domain/chain/refusal';
import { type DeletionPlan, type DeletionRequest, planDeletion } from '../domain/chain/plan-deletion';
import { ChainkeeperError, InvariantError, OperationalError, UserError, wordsOf } from '../domain/errors';
import { tellRetention } from '../domain/retention/tell-retention';
import { hostScript } from '../hosts/host-access';
import type { HostClient } from '../hosts/host-client';
import { HOST_CLIENT } from '../hosts/host-client.token';
import { redact } from '../hosts/redact';
import { hostAccess } from '../inventory/host-access';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { BookReader } from './book-reader';
import { claimOf, leaseLost } from './claim';
import { NasHosts } from './nas-hosts';
import { mountOf, refusalError } from './planner';
import { type AppliedRetention, type NamedRetention, Retainer, type RetentionRequest } from './retainer';

/** A NAS takes a moment for a large file, and a slow one longer. */
const REMOVE_MS = 30 * 60_000;
/** Of what stayed on the NAS so many are named. */
const NAMED = 10;

/** What a run of kind `delete` or `retention` takes, step by step. */
export type StepsPlan = DeletionPlan | AppliedRetention;

/** What one deletion works with. */
interface Deletion {
  readonly vm: VmRow;
  readonly lease: Lease;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** What the run is to say besides; who found the run again goes on with what it had said. */
  readonly warnings: Set<string>;
}

/** What became of the files of one backup. */
interface Removal {
  readonly path: string;
  readonly repository: string;
  readonly host: string;
  /** What else lay in its directory, and stayed. */
  readonly left: readonly string[];
  /** Nothing was there. */
  readonly absent: boolean;
}

/**
 * Drives a deletion to its end, one that somebody asked for or that of a policy: what is to go is hidden first, in one transaction, then
 * removed from the NAS and from the books one by one. Every step may be taken twice, so whoever finds the run takes them again.
 */
@Injectable()
export class Deleter {
  constructor(
    private readonly work: UnitOfWork,
    private readonly reader: BookReader,
    private readonly retainer: Retainer,
    private readonly runs: Runs,
    private readonly leases: Leases,
    private readonly backups: Backups,
    private readonly repositories: BackupRepositories,
    private readonly vms: Vms,
    private readonly volumes: Volumes,
    private readonly hosts: Hosts,
    private readonly nasHosts: NasHosts,
    @Inject(HOST_CLIENT) private readonly client: HostClient,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** What a deletion would do now. Changes nothing. */
  async plan(vmId: number, request: DeletionRequest): Promise<DeletionPlan | Refusal> {
    return planDeletion(request, await this.reader.deletionBooks(vmId));
  }

  /** @throws when the run cannot go on under this lease; it stays in the books and is looked at again. */
  async drive(run: RunRow, lease: Lease, signal: AbortSignal): Promise<void> {
    const vm = await this.vms.findById(run.vmId);
    if (!vm) throw new InvariantError('run.without-vm', `The VM of run ${run.id} is not in the books.`);
    const log = this.log.child({ runId: run.id, vm: vm.instanceName, epoch: lease.epoch });
    const warnings = new Set(run.warnings);
    const deletion = { vm, lease, signal, log, warnings };
    try {
      const plan = (run.plan as StepsPlan | null) ?? (await this.#decide(deletion, run));
      await this.#hide(deletion, plan);
      await this.#dropBitmaps(deletion, plan);
      await this.#removeAll(deletion, plan);
      await this.#end(lease, { state: 'succeeded', warnings: [...warnings] });
    } catch (error) {
      if (!(error instanceof ChainkeeperError) || error.code === 'lease.lost' || isOfBooks(error)) throw error;
      deletion.log.warn({ err: error }, 'the deletion stopped; what is left of it is hidden, and goes with the next');
      await this.#end(lease, {
        state: 'failed',
        warnings: [...warnings],
        errorCode: error.code,
        errorMessage: wordsOf(error),
        ...(typeof error.facts['stderr'] === 'string' ? { stderr: error.facts['stderr'] } : {}),
      });
    }
  }

  /** A plan that was written down is never made again: what it has hidden it must also remove. */
  async #decide({ vm, lease, log }: Deletion, { kind, requested }: RunRow): Promise<StepsPlan> {
    const retention = kind === 'retention' ? await this.retainer.agreed(vm, requested as RetentionRequest) : null;
    const plan = retention === null ? await this.plan(vm.id, requested as DeletionRequest) : applied(retention);
    if (plan.kind === 'refused') throw refusalError(plan);
    const progress = { done: 0, total: plan.bytesFreed };
    const noted = await this.runs.note(claimOf(lease), { plan, progress }, retention === null ? undefined : eventOf(retention));
    if (!noted) throw leaseLost(lease);
    log.info({ steps: plan.steps.map(({ kind, backup }) => `${kind} ${backup}`) }, 'deletion planned');
    return plan;
  }

  #hide({ vm, lease }: Deletion, { steps }: StepsPlan): Promise<void> {
    return this.work.run(async () => {
      await this.leases.hold(lease);
      for (const { kind, backup } of steps) {
        const row = kind === 'hide' ? await this.backups.findByUuid(backup) : null;
        if (row !== null) await this.backups.change(row.id, { status: 'Hidden' });
        if (kind === 'close-chain') await this.vms.setActiveCheckpoint(vm.id, null);
      }
    });
  }

  /** A bitmap that stays costs a little; the next backup, a full, clears it away. So a failure here is a warning. */
  async #dropBitmaps({ vm, lease, log, warnings }: Deletion, { steps }: StepsPlan): Promise<void> {
    for (const step of steps) {
      if (step.kind !== 'close-chain') continue;
      try {
        const host = hostAccess(await this.hosts.ofVm(vm), this.config.ssh);
        // Where a stock script takes the backups, ours only looks.
        if (host.stock !== null) continue;
        const diskPaths = (await this.volumes.ofVm(vm.id)).map(({ path }) => path);
        await this.client.retire(host, { vm: vm.instanceName, bitmap: step.bitmap, fence: lease.epoch, diskPaths });
      } catch (error) {
        if (!(error instanceof ChainkeeperError)) throw error;
        log.warn({ err: error, bitmap: step.bitmap }, 'the bitmap of a deleted backup could not be dropped');
        warnings.add(`the bitmap ${step.bitmap} is still on the VM, and its next full clears it away: ${error.message}`);
      }
    }
  }

  async #removeAll({ vm, lease, signal, log, warnings }: Deletion, { steps, bytesFreed }: StepsPlan): Promise<void> {
    let done = 0;
    for (const step of steps) {
      if (step.kind !== 'remove') continue;
      signal.throwIfAborted();
      const { externalId: path } = step;
      const row = await this.backups.findByUuid(step.backup);
      const isThere = row !== null && row.removed === null;
      const files = isThere && path !== null ? await this.#removeFiles(vm, row, path) : null;
      if (files !== null && files.left.length > 0) warnings.add(leftWords(files.path, files.left));
      if (files?.absent) warnings.add(absentWords(files));
      done += files?.absent ? 0 : step.bytes;
      // With its row: whoever finds the run after that does not ask the host again.
      await this.work.run(async () => {
        await this.leases.hold(lease);
        if (isThere) await this.backups.remove(row.id);
        const noted = { progress: { done, total: bytesFreed }, warnings: [...warnings] };
        if (!(await this.runs.note(claimOf(lease), noted))) throw leaseLost(lease);
      });
      if (isThere) log.info({ backupId: step.backup, path, bytes: step.bytes }, 'backup deleted');
    }
  }

  /** @throws OperationalError `deletion.failed` with what the script said */
  async #removeFiles(vm: VmRow, row: BookedBackup, path: string): Promise<Removal> {
    const { uuid: backup } = row;
    const [inBooks] = await this.reader.attach([row]);
    const repository = await this.repositories.find(inBooks?.booked.repositoryId ?? '');
    if (repository === null)
      throw new UserError('deletion.no-repository', 'refused', `Nobody knows in which repository backup ${backup} lies.`, {
        next: 'Its offering or repository was removed from the books.',
      });
    const access = hostAccess(await this.nasHosts.any(vm.id), this.config.ssh);
    const mount = mountOf(repository);
    const command = buildDelete(hostScript(access), mount, path);
    const { exit, stdout, stderr } = await this.client.run(access, { ...command, deadlineMs: REMOVE_MS });
    if (exit === 0)
      return { path, repository: repository.name, host: access.name, left: readDelete(stdout), absent: foundNothing(stdout) };
    const said = redact(stderr, secretsOf(mount)).trim();
    throw new OperationalError(
      'deletion.failed',
      'failed',
      `Backup ${backup} could not be removed from ${repository.name}: ${said || `exit ${exit}`}`,
      { next: 'Mend the cause and delete it again; it is hidden until then.', facts: { stderr: said, exit } },
    );
  }

  async #end(lease: Lease, end: Parameters<Runs['end']>[1]): Promise<void> {
    if (!(await this.runs.end(claimOf(lease), end))) throw leaseLost(lease);
  }
}

const applied = ({ planId, plan: { lines: _lines, ...plan } }: NamedRetention): AppliedRetention => ({ ...plan, planId });

function eventOf({ planId, plan }: NamedRetention): RunEvent {
  const { sentence, facts } = tellRetention(plan);
  return { kind: 'retention', message: sentence, facts: { planId, ...facts } };
}

function leftWords(path: string, left: readonly string[]): string {
  const named = left.slice(0, NAMED).map((name) => `${path}/${name}`);
  const more = left.length > NAMED ? ` and ${left.length - NAMED} more` : '';
  return `left on the NAS, no file of the backup: ${named.join(', ')}${more}`;
}

/** Gone already, as after an answer that was lost; or what the host sees there is not the repository. */
const absentWords = ({ path, repository, host }: Removal): string =>
  `was not there: host ${host} found nothing at ${path} in ${repository}, so nothing was freed; if it should have been, look whether the repository is mounted there`;
