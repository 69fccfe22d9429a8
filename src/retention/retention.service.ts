import { Injectable } from '@nestjs/common';
import { presentBackup } from '../backups/present-backup';
import { presentStep } from '../backups/present-step';
import type { VmRow } from '../database/entities/vm-row';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { readChains } from '../domain/chain/read-chain';
import { NO_COUNTS, type RetentionRules } from '../domain/retention/retention-rules';
import { BookReader } from '../engine/book-reader';
import { Retainer, retentionRun } from '../engine/retainer';
import { found } from '../platform/found';
import type { RunDto } from '../runs/dto/run.dto';
import { RunPresenter } from '../runs/present-run';
import type { RetentionWishDto } from './dto/policy.dto';
import type { ApplyRetentionDto, RetentionPlanDto } from './dto/retention.dto';
import { presentRules } from './present-rules';

@Injectable()
export class RetentionService {
  constructor(
    private readonly vms: Vms,
    private readonly runs: Runs,
    private readonly reader: BookReader,
    private readonly retainer: Retainer,
    private readonly runPresenter: RunPresenter,
  ) {}

  /** What a policy would do to a VM today, on its real chains. Changes nothing. */
  async plan(id: string, wish: RetentionWishDto): Promise<RetentionPlanDto> {
    const vm = found(await this.vms.find(id), 'vm', id);
    const all = await this.reader.ofVm(vm.id);
    const { planId, rules, plan } = await this.retainer.plan(vm, await this.asked(vm, wish), all);
    const links = readChains(all.map(({ booked }) => booked)).flatMap((chain) => chain.links);
    return {
      planId,
      vm: vm.instanceName,
      rules: presentRules(rules),
      lines: plan.lines.flatMap((line) => {
        const inBooks = all.find(({ row }) => row.uuid === line.backup);
        if (inBooks === undefined) return [];
        const link = links.find(({ backup }) => backup.uuid === line.backup);
        const { date, type, assurance, size } = presentBackup(inBooks, { id: vm.uuid ?? '', name: vm.instanceName }, link);
        return [{ ...line, date, type, assurance, size }];
      }),
      steps: plan.steps.map(presentStep),
      bytesFreed: plan.bytesFreed,
      pointsLeft: plan.pointsLeft,
    };
  }

  /**
   * Writes a run down that carries out the plan that was shown; another than that is refused, now and when the run begins.
   * @throws UserError `retention.plan-changed`, `run.active` while another run of the VM goes on
   */
  async apply(id: string, { plan: planId, ...wish }: ApplyRetentionDto, triggeredBy: 'rest' | 'cli'): Promise<RunDto> {
    const vm = found(await this.vms.find(id), 'vm', id);
    const request = { planId, rules: await this.asked(vm, wish) };
    await this.retainer.agreed(vm, request);
    return this.runPresenter.present(await this.runs.request({ ...retentionRun(vm, request), triggeredBy }));
  }

  /** The rules that somebody asks for; null: those of the VM. */
  async asked(vm: VmRow, { minAgeHours, zone, manual, ...counts }: RetentionWishDto): Promise<RetentionRules | null> {
    const own = await this.retainer.rules(vm);
    const given = Object.values(counts).some((count) => count !== undefined);
    if (!given && minAgeHours === undefined && zone === undefined && manual === undefined) return null;
    return {
      policy: given ? { ...NO_COUNTS, ...counts } : own.policy,
      minAgeHours: minAgeHours ?? own.minAgeHours,
      zone: zone ?? own.zone,
      manual: manual ?? own.manual,
    };
  }
}
