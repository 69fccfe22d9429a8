import { setImmediate } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { presentBackup } from '../backups/present-backup';
import { presentStep } from '../backups/present-step';
import type { VmRow } from '../database/entities/vm-row';
import { Offerings } from '../database/repositories/offerings';
import { Runs } from '../database/repositories/runs';
import { Schedules } from '../database/repositories/schedules';
import { Vms } from '../database/repositories/vms';
import { readChains } from '../domain/chain/read-chain';
import { NO_COUNTS, type RetentionRules } from '../domain/retention/retention-rules';
import { expectedSizes, type SimulatedDay, simulateRetention } from '../domain/retention/simulate-retention';
import { hoursBetween, type Rhythm, type Take, takesEvery, takesOf, type TakingSchedule } from '../domain/retention/takes-ahead';
import { UserError } from '../domain/errors';
import { BookReader } from '../engine/book-reader';
import { Retainer, retentionRun } from '../engine/retainer';
import { Rhythms } from '../engine/rhythms';
import { StartRuleReader } from '../engine/start-rule-reader';
import { readPolicy } from '../inventory/offering-policy';
import { found } from '../platform/found';
import type { RunDto } from '../runs/dto/run.dto';
import { RunPresenter } from '../runs/present-run';
import type { RetentionWishDto } from './dto/policy.dto';
import type { ApplyRetentionDto, RetentionPlanDto } from './dto/retention.dto';
import type { SimulationDto, SimulationQuery } from './dto/simulation.dto';
import { presentRules } from './present-rules';

/** One an hour, for a year: to look ahead over more takes too long. */
const MOST_TAKES = 366 * 24;
/** So many instants are computed before others have their turn. */
const BREATH = 100;

@Injectable()
export class RetentionService {
  constructor(
    private readonly vms: Vms,
    private readonly offerings: Offerings,
    private readonly runs: Runs,
    private readonly reader: BookReader,
    private readonly schedules: Schedules,
    private readonly rhythms: Rhythms,
    private readonly startRules: StartRuleReader,
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
    const offering = vm.backupOfferingId === null ? null : await this.offerings.findById(vm.backupOfferingId);
    const { fullEvery, incrementalEnabled, fullWeekday, fullEveryDays, fullZone } = readPolicy(offering?.details ?? []);
    const fullRule = { weekday: fullWeekday, everyDays: fullEveryDays, zone: fullZone };
    const now = Math.floor(Date.now() / 1000);
    const takes = everyHours === undefined ? await this.#takes(vm, now, days) : takesEvery([everySo(everyHours)], now, days);
    const policy = { fullEvery, incrementalEnabled, fullRule };
    const ahead: SimulatedDay[] = [];
    for (const day of simulateRetention({ ...books, ...rules, ...policy, now, days, takes })) {
      ahead.push(day);
      // Others wait for answers meanwhile.
      await setImmediate();
    }
    const sizes = expectedSizes(books.backups);
    const most = (of: (day: SimulatedDay) => number): number => ahead.reduce((so, day) => Math.max(so, of(day)), 0);
    return {
      vm: vm.instanceName,
      rules: presentRules(rules),
      everyHours: everyHours === undefined ? hoursBetween(takes, days) : [everyHours],
      fullBytes: sizes.FULL,
      incrementalBytes: sizes.INCREMENTAL,
      mostBytes: most(({ bytes }) => bytes),
      mostWritten: most(({ bytesWritten }) => bytesWritten),
      longestGap: most(({ longestGap }) => longestGap ?? 0) || null,
      days: ahead.map((day) => ({ ...day, date: new Date(day.date * 1000).toISOString() })),
    };
  }

  /** As the schedules that hold for the VM say, windows and blackouts with them; where none does, one a day. @throws UserError `retention.too-far` */
  async #takes(vm: VmRow, now: number, days: number): Promise<Take[]> {
    const rules = await this.startRules.ofVms([vm]);
    const holding = await this.schedules.holding(vm.id, vm.backupOfferingId);
    const schedules = holding.flatMap((schedule): TakingSchedule[] => {
      const { id, backupScheduleId: scheduleId } = schedule;
      const rhythm = this.rhythms.of(schedule, vm);
      return rhythm === null ? [] : [{ id, scheduleId, vm: vm.instanceName, host: null, ...rhythm, rules: rules(vm) }];
    });
    if (schedules.length === 0) return takesEvery([everySo(24)], now, days);
    const takes: Take[] = [];
    for (const take of takesOf(schedules, now, days)) {
      if (takes.length === MOST_TAKES)
        throw new UserError(
          'retention.too-far',
          'invalid',
          `In ${days} days the schedules of VM ${vm.instanceName} come to more than ${MOST_TAKES} backups, too many to look ahead over.`,
          { next: 'Ask for fewer days, or say --every-hours.' },
        );
      takes.push(take);
      if (takes.length % BREATH === 0) await setImmediate();
    }
    return takes;
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

const everySo = (hours: number): Rhythm => ({ every: hours * 3600, scheduleId: null });
