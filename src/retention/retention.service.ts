import { setImmediate } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { presentBackup } from '../backups/present-backup';
import { presentStep } from '../backups/present-step';
import type { VmRow } from '../database/entities/vm-row';
import { Offerings } from '../database/repositories/offerings';
import { Runs } from '../database/repositories/runs';
import { Vms } from '../database/repositories/vms';
import { readChains } from '../domain/chain/read-chain';
import { NO_COUNTS, type RetentionRules } from '../domain/retention/retention-rules';
import type { RetentionBooks } from '../domain/retention/plan-retention';
import { expectedSizes, type Rhythm, type SimulatedDay, simulateRetention } from '../domain/retention/simulate-retention';
import { BookReader } from '../engine/book-reader';
import { Retainer, retentionRun } from '../engine/retainer';
import { readPolicy } from '../inventory/offering-policy';
import { found } from '../platform/found';
import type { RunDto } from '../runs/dto/run.dto';
import { RunPresenter } from '../runs/present-run';
import type { RetentionWishDto } from './dto/policy.dto';
import type { ApplyRetentionDto, RetentionPlanDto } from './dto/retention.dto';
import type { SimulationDto, SimulationQuery } from './dto/simulation.dto';
import { presentRules } from './present-rules';

const HOUR = 3600;
/** Hours from one backup of a schedule to the next, by its kind; a month is taken to have thirty days. */
const RHYTHMS: Readonly<Record<string, number>> = { hourly: 1, daily: 24, weekly: 7 * 24, monthly: 30 * 24 };

@Injectable()
export class RetentionService {
  constructor(
    private readonly vms: Vms,
    private readonly offerings: Offerings,
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

  /** What the rules would come to on a VM's real chains, day by day. Changes nothing. */
  async simulate(id: string, { days = 365, everyHours, ...wish }: SimulationQuery): Promise<SimulationDto> {
    const vm = found(await this.vms.find(id), 'vm', id);
    const rules = (await this.asked(vm, wish)) ?? (await this.retainer.rules(vm));
    const books = await this.reader.retentionBooks(vm.id);
    const rhythms = everyHours === undefined ? rhythmsOf(books) : [{ every: everyHours * HOUR, scheduleId: null }];
    const offering = vm.backupOfferingId === null ? null : await this.offerings.findById(vm.backupOfferingId);
    const { fullEvery, incrementalEnabled } = readPolicy(offering?.details ?? []);
    const now = Math.floor(Date.now() / 1000);
    const ahead: SimulatedDay[] = [];
    for (const day of simulateRetention({ ...books, ...rules, now, days, rhythms, fullEvery, incrementalEnabled })) {
      ahead.push(day);
      // Others wait for answers meanwhile.
      await setImmediate();
    }
    const sizes = expectedSizes(books.backups);
    const most = (of: (day: SimulatedDay) => number): number => ahead.reduce((so, day) => Math.max(so, of(day)), 0);
    return {
      vm: vm.instanceName,
      rules: presentRules(rules),
      everyHours: rhythms.map(({ every }) => every / HOUR),
      fullBytes: sizes.FULL,
      incrementalBytes: sizes.INCREMENTAL,
      mostBytes: most(({ bytes }) => bytes),
      mostWritten: most(({ bytesWritten }) => bytesWritten),
      longestGap: most(({ longestGap }) => longestGap ?? 0) || null,
      days: ahead.map((day) => ({ ...day, date: new Date(day.date * 1000).toISOString() })),
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

/** How backups go on by the VM's schedules; without one, one a day. */
function rhythmsOf({ schedules }: RetentionBooks): Rhythm[] {
  const known = schedules.flatMap(({ id, name }) => {
    const hours = RHYTHMS[name];
    return hours === undefined ? [] : [{ every: hours * HOUR, scheduleId: id }];
  });
  return known.length > 0 ? known : [{ every: 24 * HOUR, scheduleId: null }];
}
