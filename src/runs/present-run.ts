import { Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import { Backups } from '../database/repositories/backups';
import { Vms } from '../database/repositories/vms';
import type { BackupPlan } from '../domain/chain/backup-plan';
import type { RestorePlan } from '../domain/restore/restore-plan';
import type { StepsPlan } from '../engine/deleter';
import { Queue } from '../engine/queue';
import { Watcher } from '../engine/watcher';
import type { ProgressDto, RunDto } from './dto/run.dto';

/** Rows of runs as the API shows them. */
@Injectable()
export class RunPresenter {
  constructor(
    private readonly vms: Vms,
    private readonly backups: Backups,
    private readonly queue: Queue,
    private readonly watcher: Watcher,
  ) {}

  async present(run: RunRow): Promise<RunDto> {
    const vm = await this.vms.findById(run.vmId);
    const backup = run.backupId === null ? null : await this.backups.findById(run.backupId);
    const waits = run.state === 'queued' ? (await this.queue.waits()).get(run.id) : undefined;
    const stuck = await this.watcher.judge(run);
    const plan = run.plan as (Pick<BackupPlan | RestorePlan | StepsPlan, 'kind'> & { readonly bandwidth?: number | null }) | null;
    return {
      id: run.id,
      vmId: vm?.uuid ?? '',
      vm: vm?.instanceName ?? '',
      kind: run.kind,
      state: run.state,
      attempt: run.attempt + 1,
      notBefore: run.notBefore?.toISOString() ?? null,
      waits: waits?.sentence ?? null,
      stuck: stuck === null ? null : `${stuck.sentence} ${stuck.next}`,
      trigger: run.triggeredBy,
      cause: run.cause,
      plannedKind: plan?.kind ?? null,
      reason: run.reason,
      backupId: backup?.uuid ?? null,
      progress: run.progress as ProgressDto | null,
      bandwidth: plan?.bandwidth ?? null,
      errorCode: run.errorCode,
      errorMessage: run.errorMessage,
      warnings: run.warnings ?? [],
      exitCode: run.exitCode,
      abortAsked: run.abortAsked?.toISOString() ?? null,
      created: run.created.toISOString(),
      started: run.started?.toISOString() ?? null,
      ended: run.ended?.toISOString() ?? null,
    };
  }
}
