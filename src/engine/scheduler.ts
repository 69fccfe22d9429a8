import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { RunRow } from '../database/entities/run-row';
import type { VmRow } from '../database/entities/vm-row';
import { Dues, type ReadyDue } from '../database/repositories/dues';
import { Events, type NewEvent } from '../database/repositories/events';
import { Offerings } from '../database/repositories/offerings';
import { type NewRun, Runs } from '../database/repositories/runs';
import { type Schedule, Schedules } from '../database/repositories/schedules';
import { Vms } from '../database/repositories/vms';
import { UnitOfWork } from '../database/unit-of-work';
import { countPassed } from '../domain/schedule/count-passed';
import { type DueVerdict, judgeDue } from '../domain/schedule/judge-due';
import type { Rhythm } from '../domain/schedule/next-due';
import { nextDues } from '../domain/schedule/next-dues';
import { Config } from '../platform/config/load-config';
import { LOG, type Log } from '../platform/log';
import { LookLog } from './look-log';
import { Rhythms } from './rhythms';
import { StartRuleReader } from './start-rule-reader';
import { StartTimes } from './start-times';

/** Dues of one transaction. */
const AT_ONCE = 200;
/** Between looks for what nobody told us. */
const LOOK_MS = 300_000;

/**
 * Makes runs of what is due: each is written down, named after its VM and instant, before anything happens, so that of several
 * orchestrators one makes it and none makes it twice. What does not become a run is told why.
 */
@Injectable()
export class Scheduler implements BeforeApplicationShutdown {
  readonly #stop = new AbortController();
  #loop: Promise<void> | undefined;
  readonly looks: LookLog;
  /** For what nobody told us. */
  readonly changes: LookLog;

  constructor(
    private readonly work: UnitOfWork,
    private readonly schedules: Schedules,
    private readonly dues: Dues,
    private readonly runs: Runs,
    private readonly vms: Vms,
    private readonly offerings: Offerings,
    private readonly events: Events,
    private readonly rhythms: Rhythms,
    private readonly startRules: StartRuleReader,
    private readonly startTimes: StartTimes,
    @Inject(Config) private readonly config: Config,
    @Inject(LOG) private readonly log: Log,
  ) {
    this.looks = new LookLog(log, 'what is due');
    this.changes = new LookLog(log, 'schedules that others changed');
  }

  start(): void {
    this.#loop ??= this.#turn();
  }

  /** Begins nothing from now on. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.stop();
  }

  async #turn(): Promise<void> {
    let lastLook = -Infinity;
    while (!this.#stop.signal.aborted) {
      let again = false;
      if (performance.now() - lastLook > LOOK_MS) {
        lastLook = performance.now();
        await this.#lookAround();
      }
      try {
        again = (await this.tick()) === AT_ONCE;
        this.looks.ended(null);
      } catch (error) {
        // A database that is away for a moment must not end the loop, nor fill the log.
        this.looks.ended(error);
      }
      if (!again) await sleep(this.config.engine.pollMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** For what nobody told us. What cannot be made good keeps nothing else from running. */
  async #lookAround(): Promise<void> {
    let failure: unknown = null;
    for (const look of [() => this.rhythms.makeGood(), () => this.startTimes.lookAgain()])
      await look().catch((error: unknown) => (failure = error));
    this.changes.ended(failure);
  }

  /** Looks once for what is due, stops what has outlived its window, and puts off what waits still. How many dues or runs it went through. */
  async tick(): Promise<number> {
    await this.#stopLate();
    const closed = await this.startTimes.putOff(AT_ONCE);
    return Math.max(closed, await this.#makeRuns());
  }

  async #makeRuns(): Promise<number> {
    const ready = await this.dues.ready(AT_ONCE);
    if (ready.length === 0) return 0;
    const now = await this.dues.now();
    const schedules = new Map(
      (await this.schedules.bySeqs([...new Set(ready.map(({ scheduleSeq }) => scheduleSeq))])).map((one) => [one.seq, one]),
    );
    const vms = new Map((await this.vms.findMany([...new Set(ready.map(({ vmId }) => vmId))])).map((vm) => [vm.id, vm]));
    const rules = await this.startRules.ofVms([...vms.values()]);
    const names = await this.offerings.names([...vms.values()].flatMap(({ backupOfferingId }) => backupOfferingId ?? []));
    const [passed, nextOf] = [passedUntil(now), nextDues(now)];
    await this.work.run(async () => {
      const active = new Map<number, Pick<RunRow, 'id' | 'state'>>(await this.runs.activeBackups([...vms.keys()]));
      const before = await this.runs.ofInstants([...vms.keys()], [...new Set(ready.map(({ instant }) => instant))]);
      const made = new Map(before.map((run) => [instantOf(run.vmId, run.scheduledFor as Date), run.id]));
      const runs: NewRun[] = [];
      const events: NewEvent[] = [];
      // Of two schedules of a VM the older one makes the run.
      for (const due of [...ready].sort((a, b) => a.scheduleSeq - b.scheduleSeq)) {
        const [schedule, vm] = [schedules.get(due.scheduleSeq), vms.get(due.vmId)];
        if (schedule === undefined || vm === undefined || !holds(schedule, vm)) {
          await this.dues.remove(due);
          continue;
        }
        const rhythm = this.rhythms.of(schedule, vm);
        const verdict =
          rhythm &&
          judgeDue({
            ...{ vm: vm.instanceName, rules: rules(vm), offering: names.get(vm.backupOfferingId ?? 0) ?? null },
            ...{ active: active.get(vm.id) ?? null, made: made.get(instantOf(vm.id, due.instant)) ?? null },
            ...{ now, passed: passed(rhythm, due.instant), dueAt: due.dueAt },
            ...{ policy: schedule.missed, graceSeconds: schedule.graceSeconds },
          });
        const next = (rhythm && nextOf(rhythm)) ?? { instant: null, dueAt: null };
        const moved = await this.dues.move(due, verdict?.act === 'later' ? { instant: due.instant, dueAt: verdict.dueAt } : next);
        // Another orchestrator has.
        if (!moved) continue;
        if (verdict === null) {
          const why = this.rhythms.whyUnreadable(schedule);
          if (why !== null) events.push({ ...leftOut(due, schedule), ...why });
          await this.schedules.noteRead(schedule);
        } else if (verdict.act === 'run') {
          const run = runOf(due, schedule, verdict);
          runs.push(run);
          active.set(vm.id, { id: run.id, state: 'queued' });
          made.set(instantOf(vm.id, due.instant), run.id);
        } else {
          events.push(eventOf(due, schedule, verdict, made.get(instantOf(vm.id, due.instant)) ?? active.get(vm.id)?.id ?? null));
        }
      }
      await this.runs.createMany(runs);
      await this.events.addMany(events);
    });
    return ready.length;
  }

  /** Whoever drives such a run sees that it is to stop, and asks the host. */
  async #stopLate(): Promise<void> {
    for (const { id, vmId, scheduleId, stopAt } of await this.runs.outliving()) {
      const message = `Its window closed at ${stopAt?.toISOString() ?? ''}, and its offering or host wants it stopped then.`;
      const asked = await this.work.run(async () => {
        if (!(await this.runs.askToAbort(id))) return false;
        await this.events.add({ kind: 'stopped', vmId, runId: id, scheduleId, reason: 'window-closed', message });
        return true;
      });
      if (asked) this.log.info({ runId: id, vmId }, 'a run has outlived its window and is stopped');
    }
  }
}

const instantOf = (vmId: number, instant: Date): string => `${vmId} ${instant.getTime()}`;

const runOf = (
  { vmId, instant }: ReadyDue,
  schedule: Schedule,
  { sentence, startUntil, stopAt }: DueVerdict & { act: 'run' },
): NewRun => ({
  ...{ id: randomUUID(), vmId, kind: 'backup', triggeredBy: 'schedule', idempotencyKey: null, cause: sentence },
  ...{ scheduleId: schedule.id, scheduledFor: instant, startUntil, stopAt },
  requested: { mode: 'auto', quiesce: schedule.cloudstack?.quiescevm ?? schedule.quiesce ?? false },
});

const leftOut = ({ vmId, instant }: ReadyDue, { id: scheduleId }: Schedule) => ({
  ...{ kind: 'skipped', vmId, scheduleId, facts: { instant: instant.toISOString() } },
});

/** `insteadId`: the run that does for it. */
function eventOf(due: ReadyDue, schedule: Schedule, verdict: DueVerdict, insteadId: string | null): NewEvent {
  const about = { ...leftOut(due, schedule), reason: verdict.code, message: verdict.sentence };
  if (verdict.act !== 'later') return { ...about, runId: insteadId };
  return { ...about, kind: 'delayed', facts: { ...about.facts, dueAt: verdict.dueAt.toISOString() } };
}

/** How many instants of a rhythm have passed since one. A thousand VMs of an offering ask for the same. */
function passedUntil(now: Date): (rhythm: Rhythm, instant: Date) => number {
  const known = new Map<string, number>();
  return ({ recurrence, zone }, instant) => {
    const key = `${recurrence.cron} ${zone} ${instant.getTime()}`;
    const passed = known.get(key) ?? countPassed(recurrence, zone, instant, now);
    known.set(key, passed);
    return passed;
  };
}

/** The VM may have gone, or have another offering by now. */
const holds = (schedule: Schedule, vm: VmRow): boolean =>
  vm.removed === null &&
  (schedule.vmId === vm.id || (schedule.offeringId !== null && schedule.offeringId === vm.backupOfferingId));
