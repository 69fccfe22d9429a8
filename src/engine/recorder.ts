import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { Backups } from '../database/repositories/backups';
import { Evidence, type InspectEvidence } from '../database/repositories/evidence';
import { type Lease, Leases } from '../database/repositories/leases';
import { Links } from '../database/repositories/links';
import { Offerings } from '../database/repositories/offerings';
import { OWN_SCOPE } from '../database/repositories/own-scope';
import { type RunEnd, type RunProgress, type RunRetry, Runs } from '../database/repositories/runs';
import { Schedules } from '../database/repositories/schedules';
import { Vms } from '../database/repositories/vms';
import { UnitOfWork } from '../database/unit-of-work';
import type { Facts } from '../domain/agent/facts';
import { causeOfNext } from '../domain/chain/after-recreation';
import type { BackupPlan } from '../domain/chain/backup-plan';
import type { ActiveCheckpointChange, BackedUp, FailedBackup } from '../domain/chain/settlement';
import { OperationalError } from '../domain/errors';
import { readPolicy } from '../inventory/offering-policy';

/** A run that has ended on its host, with all that is to be written down about it. */
export interface EndedRun {
  readonly run: RunRow;
  readonly vm: VmRow;
  readonly lease: Lease;
  readonly offeringId: number;
  readonly plan: BackupPlan;
  readonly facts: Facts | null;
  readonly output: { readonly stdout: string; readonly stderr: string; readonly exitCode: number | null };
  readonly warnings: readonly string[];
}

/** A booked backup. */
export interface Booked {
  readonly uuid: string;
  /** Of its row. */
  readonly id: number;
  /** As it ended. */
  readonly run: RunRow;
  /** The run that the service asks for by itself, to follow it at once. */
  readonly next: RunRow | null;
}

/** What is dispatched instead, in the same run. */
export interface Again {
  readonly plan: BackupPlan;
  readonly jobId: string;
  /** What is kept of the job that failed. */
  readonly warnings: string[];
}

/**
 * Writes the outcome of a run into the books, everything in one transaction: a reader finds the backup with its chain
 * keys, reason, evidence and the VM's active checkpoint, or finds nothing of it.
 */
@Injectable()
export class Recorder {
  constructor(
    private readonly work: UnitOfWork,
    private readonly backups: Backups,
    private readonly links: Links,
    private readonly evidence: Evidence,
    private readonly runs: Runs,
    private readonly leases: Leases,
    private readonly vms: Vms,
    private readonly offerings: Offerings,
    private readonly schedules: Schedules,
  ) {}

  /**
   * What was seen of the VM, and what was decided by it; null: nothing. Whoever slept through the lease keeps neither: after the evidence of
   * another's backup an old look would be a witness against its bitmap.
   * @param before what else was seen, to be written down before the look
   * @throws OperationalError `lease.lost`: nothing was written.
   */
  decided(
    lease: Lease,
    seen: InspectEvidence | null,
    decided: RunProgress | null,
    before: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    return this.work.run(async () => {
      await this.leases.hold(lease);
      await before();
      if (seen !== null) await this.evidence.keepInspect(seen);
      if (decided !== null && !(await this.runs.note({ id: lease.runId, epoch: lease.epoch }, decided))) throw lost(lease);
    });
  }

  /**
   * Books a backup, and the run that has to follow it at once.
   * @throws OperationalError `lease.lost`: nothing was written.
   */
  backedUp(ended: EndedRun, settled: BackedUp): Promise<Booked> {
    const { run, vm, lease, offeringId, plan, output } = ended;
    return this.work.run(async () => {
      await this.leases.hold(lease);
      const uuid = randomUUID();
      const backup = await this.backups.insert(
        {
          ...OWN_SCOPE,
          uuid,
          name: `${vm.name}-${settled.externalId.split('/').at(-1)}`,
          description: null,
          vmId: vm.id,
          externalId: settled.externalId,
          type: settled.type,
          size: settled.size,
          protectedSize: settled.protectedSize,
          status: settled.status,
          backupOfferingId: offeringId,
          backupScheduleId:
            run.scheduleId === null ? null : ((await this.schedules.find(run.scheduleId))?.backupScheduleId ?? null),
          backedVolumes: backedVolumes(settled),
        },
        settled.details,
      );
      await this.links.insert({
        backupId: backup.id,
        backupUuid: uuid,
        runId: run.id,
        reason: settled.reason,
        recreateMethod: settled.recreation?.method ?? null,
        planned: plan,
        assurance: settled.assurance,
        assuranceWhy: settled.findings.length === 0 ? null : settled.findings.join('; '),
      });
      await this.#keepEvidence(ended, backup.id, settled.reason, settled.assurance);
      await this.#setCheckpoint(vm.id, settled.activeCheckpoint);
      const asEnded = await this.#end(lease, {
        state: 'succeeded',
        backupId: backup.id,
        reason: settled.reason,
        ...(ended.facts?.job?.processed == null
          ? {}
          : { progress: { done: ended.facts.job.processed, total: ended.facts.job.total } }),
        ...output,
        warnings: [...ended.warnings, ...settled.findings],
      });
      return { uuid, id: backup.id, run: asEnded, next: await this.#askForNext(ended, settled, uuid) };
    });
  }

  /** A run that waits already does as well. */
  async #askForNext({ run, vm, offeringId, plan }: EndedRun, settled: BackedUp, uuid: string): Promise<RunRow | null> {
    if (settled.recreation === null) return null;
    const { afterRecreation } = readPolicy((await this.offerings.findById(offeringId))?.details ?? []);
    const cause = causeOfNext(settled, uuid, afterRecreation, run.triggeredBy === 'service');
    if (cause === null) return null;
    return this.runs.requestUnlessActive({
      id: randomUUID(),
      vmId: vm.id,
      kind: 'backup',
      triggeredBy: 'service',
      cause,
      idempotencyKey: null,
      requested: { mode: 'auto', quiesce: plan.quiesce },
    });
  }

  /**
   * Books a failure: the end of the run, the plan of what is dispatched instead, or that it is tried again later. Answers whether it is: not
   * when somebody wants the run to stop.
   */
  failed(ended: EndedRun, settled: FailedBackup, again: Again | null, later: RunRetry | null = null): Promise<boolean> {
    const { vm, lease, offeringId, plan, output } = ended;
    return this.work.run(async () => {
      await this.leases.hold(lease);
      let backupId: number | null = null;
      if (settled.status === 'Error') {
        // Something was left behind on the NAS; the row says where, so that it is found and removed.
        const row = await this.backups.insert(
          {
            ...OWN_SCOPE,
            uuid: randomUUID(),
            name: `${vm.name}-${plan.backupPath.split('/').at(-1)}`,
            description: settled.sentence.slice(0, 1024),
            vmId: vm.id,
            externalId: plan.backupPath,
            type: plan.kind === 'incremental' ? 'INCREMENTAL' : 'FULL',
            size: 0,
            protectedSize: 0,
            status: 'Error',
            backupOfferingId: offeringId,
            backupScheduleId: null,
            backedVolumes: null,
          },
          [],
        );
        backupId = row.id;
      }
      await this.#keepEvidence(ended, backupId, null, null);
      await this.#setCheckpoint(vm.id, settled.activeCheckpoint);
      if (again !== null) {
        const { plan: next, jobId, warnings } = again;
        const noted = await this.runs.note(
          { id: lease.runId, epoch: lease.epoch },
          { plan: next, jobId, reason: next.reason, warnings },
        );
        if (!noted) throw lost(lease);
        return false;
      }
      if (later !== null && (await this.runs.retryLater({ id: lease.runId, epoch: lease.epoch }, later))) return true;
      await this.#end(lease, {
        state: settled.code === 'job-cancelled' ? 'cancelled' : 'failed',
        backupId: null,
        errorCode: settled.code,
        errorMessage: settled.sentence,
        ...output,
        warnings: [...ended.warnings, ...settled.findings],
      });
      return false;
    });
  }

  async #keepEvidence(
    { run, vm, facts }: EndedRun,
    backupId: number | null,
    reason: string | null,
    assurance: string | null,
  ): Promise<void> {
    if (facts === null) return;
    await this.evidence.keepRun({
      vmId: vm.id,
      runId: run.id,
      backupId,
      facts,
      verbatim: JSON.stringify(facts),
      reason,
      assurance,
    });
  }

  async #setCheckpoint(vmId: number, change: ActiveCheckpointChange): Promise<void> {
    if (change.change === 'unchanged') return;
    await this.vms.setActiveCheckpoint(vmId, change.change === 'set' ? change.to : null);
  }

  async #end({ runId, epoch }: Lease, end: RunEnd): Promise<RunRow> {
    const ended = await this.runs.end({ id: runId, epoch }, end);
    if (ended === null) throw lost({ runId });
    return ended;
  }
}

const lost = ({ runId }: Pick<Lease, 'runId'>): OperationalError =>
  new OperationalError('lease.lost', 'busy', `Run ${runId} was ended by somebody else; nothing was recorded.`);

/** CloudStack's JSON of the volumes in a backup. */
function backedVolumes({ disks }: BackedUp): string {
  return JSON.stringify(
    disks.map(({ deviceId, path, virtualSize }) => ({
      uuid: path?.split('/').at(-1) ?? null,
      type: deviceId === 0 ? 'ROOT' : 'DATADISK',
      size: virtualSize,
      path: path?.split('/').at(-1) ?? null,
      deviceId,
    })),
  );
}
