import { Injectable } from '@nestjs/common';
import type { VmRow } from '../database/entities/vm-row';
import { Dues } from '../database/repositories/dues';
import type { NewEvent } from '../database/repositories/events';
import { type ClosedRow, Runs, type RunStart } from '../database/repositories/runs';
import { SCHEDULE_DEFAULTS, Schedules } from '../database/repositories/schedules';
import type { RuleOwner } from '../database/repositories/start-rules';
import { Vms } from '../database/repositories/vms';
import { UnitOfWork } from '../database/unit-of-work';
import { type ClosedVerdict, judgeClosed } from '../domain/schedule/judge-closed';
import type { StartRules } from '../domain/schedule/start-rules';
import { whenMayStart } from '../domain/schedule/when-may-start';
import { Rhythms } from './rhythms';
import { StartRuleReader } from './start-rule-reader';

/** VMs that are looked at in one go. */
const PAGE = 2000;

/** When runs that wait may start, as windows close and rules change. */
@Injectable()
export class StartTimes {
  constructor(
    private readonly work: UnitOfWork,
    private readonly runs: Runs,
    private readonly dues: Dues,
    private readonly vms: Vms,
    private readonly schedules: Schedules,
    private readonly rhythms: Rhythms,
    private readonly startRules: StartRuleReader,
  ) {}

  /** Runs whose window has closed before they could start wait for the next one. How many there were, so many at most. */
  putOff(limit: number): Promise<number> {
    return this.work.run(async () => {
      const closed = await this.runs.closed(limit);
      if (closed.length === 0) return 0;
      const judge = await this.#judgeOf(closed);
      // All that wait for one opening are written at once.
      const groups = new Map<string, { start: RunStart; ids: string[]; events: NewEvent[] }>();
      for (const run of closed) {
        const verdict = judge(run);
        if (verdict.act === 'skip') {
          const { code, sentence } = verdict;
          await this.runs.endQueued(run.id, { state: 'skipped', reason: code, errorCode: null, errorMessage: sentence });
          continue;
        }
        const { notBefore, startUntil, stopAt, because } = verdict;
        const start = { notBefore, startUntil, stopAt };
        const key = JSON.stringify(start);
        const group = groups.get(key) ?? { start, ids: [], events: [] };
        groups.set(key, group);
        group.ids.push(run.id);
        if (because === null) continue;
        const { id: runId, vmId, scheduleId } = run;
        const facts = { dueAt: notBefore?.toISOString() };
        group.events.push({
          ...{ kind: 'delayed', runId, vmId, scheduleId, facts },
          reason: because.code,
          message: because.sentence,
        });
      }
      for (const { start, ids, events } of groups.values()) await this.runs.putOff(ids, start, events);
      return closed.length;
    });
  }

  /** Somebody has said something else of when backups of these may start. */
  rulesChanged({ owner, ownerId }: RuleOwner): Promise<void> {
    return this.work.run(async () => {
      if (owner === 'host') return this.judgeAnew(await this.vms.onHost(ownerId));
      for (let vms = await this.vms.ofOffering(ownerId, 0, PAGE); vms.length > 0;) {
        await this.judgeAnew(vms);
        vms = await this.vms.ofOffering(ownerId, vms.at(-1)?.id ?? Infinity, PAGE);
      }
    });
  }

  /** VMs that were moved or given another offering by somebody who wrote to the tables himself. */
  async lookAgain(): Promise<void> {
    for (let ids = await this.dues.delayedVms(0, PAGE); ids.length > 0; ids = await this.dues.delayedVms(ids.at(-1) ?? 0, PAGE))
      await this.#judgeDues(await this.vms.findMany(ids));
  }

  /** What waits of these VMs, runs and what is due, is asked of the rules of now at the next look: others made it wait, or let it start. */
  judgeAnew(all: readonly VmRow[]): Promise<void> {
    return this.work.run(async () => {
      for (let from = 0; from < all.length; from += PAGE) {
        const vms = all.slice(from, from + PAGE);
        await this.runs.judgeAnew(vms.map(({ id }) => id));
        await this.#judgeDues(vms);
      }
    });
  }

  async #judgeDues(all: readonly VmRow[]): Promise<void> {
    const dues = await this.dues.delayed(all.map(({ id }) => id));
    if (dues.length === 0) return;
    const vms = new Map(all.map((vm) => [vm.id, vm]));
    const now = await this.dues.now();
    const opens = opensAt(await this.startRules.ofVms(all), now);
    for (const schedule of await this.schedules.bySeqs([...new Set(dues.map(({ scheduleSeq }) => scheduleSeq))])) {
      const others = dues.filter(({ scheduleSeq, vmId, instant, dueAt }) => {
        const vm = vms.get(vmId);
        const rhythm = scheduleSeq === schedule.seq && vm ? this.rhythms.of(schedule, vm) : null;
        // What waits for its jitter yet is asked when it is due.
        const wasDue = rhythm !== null && instant.getTime() + rhythm.jitter * 1000 <= now.getTime();
        return wasDue && vm !== undefined && opens(vm) !== dueAt.getTime();
      });
      const vmIds = others.map(({ vmId }) => vmId);
      if (vmIds.length > 0) await this.dues.judgeAnew(schedule.seq, vmIds);
    }
  }

  async #judgeOf(closed: readonly ClosedRow[]): Promise<(run: ClosedRow) => ClosedVerdict> {
    const now = await this.dues.now();
    const vms = new Map((await this.vms.findMany([...new Set(closed.map(({ vmId }) => vmId))])).map((vm) => [vm.id, vm]));
    const rules = await this.startRules.ofVms([...vms.values()]);
    const ids = [...new Set(closed.flatMap(({ scheduleId }) => scheduleId ?? []))];
    const schedules = new Map((await this.schedules.byIds(ids)).map((one) => [one.id, one]));
    return ({ vmId, scheduleId, created: queuedAt, notBefore, startUntil: closedAt }) => {
      const vm = vms.get(vmId);
      // One that is gone left its run to itself.
      const { missed: policy, graceSeconds } = schedules.get(scheduleId ?? '') ?? SCHEDULE_DEFAULTS;
      return judgeClosed({ rules: vm === undefined ? [] : rules(vm), now, queuedAt, notBefore, closedAt, policy, graceSeconds });
    };
  }
}

/** When a VM's rules let something start; of ten thousand VMs most have the same. */
function opensAt(rules: (vm: VmRow) => StartRules[], now: Date): (vm: VmRow) => number | undefined {
  const known = new Map<string, number | undefined>();
  return (vm) => {
    const key = `${vm.backupOfferingId} ${vm.hostId}`;
    if (!known.has(key)) known.set(key, whenMayStart(rules(vm), now)?.at.getTime());
    return known.get(key);
  };
}
